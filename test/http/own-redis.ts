import { Redis } from 'ioredis';
import { startUpstashEmulator } from '../../dev/emulators/upstash.ts';
import { listRedisCommands } from '../../dev/redis-monitor.ts';
import { startTestRedis } from '../start-redis.ts';
import type { TargetEnv } from './targets.ts';

/** A Redis that nobody else uses: what is asked of it can be counted, and it may be emptied. */
export interface OwnRedis {
  /** What leads a target to it, and to no other. */
  env: TargetEnv;
  client: Redis;
  /** Whether a target can ask it what it does when it is full: Upstash does not say. */
  tellsPolicy: boolean;
  /** Every command that reaches it while `work` runs, but those inside scripts and those of `client`. */
  listCommands(work: () => Promise<void>): Promise<string[]>;
  close(): Promise<void>;
}

const PASSWORD = 'a-password-of-its-own';
const OVER_HTTP_OFF = { UPSTASH_REDIS_REST_URL: '', UPSTASH_REDIS_REST_TOKEN: '' };

export async function openOwnRedis(way: 'http' | 'tcp'): Promise<OwnRedis> {
  const server = await startTestRedis(PASSWORD);
  const emulator =
    way === 'tcp' ? null : await startUpstashEmulator({ redisUrl: server.url, token: PASSWORD, port: 0 });
  const client = new Redis(server.url);
  return {
    env:
      emulator === null
        ? {
            ...OVER_HTTP_OFF,
            REDIS_HOST: '127.0.0.1',
            REDIS_PORT: String(server.port),
            REDIS_PASSWORD: PASSWORD,
          }
        : { UPSTASH_REDIS_REST_URL: emulator.url, UPSTASH_REDIS_REST_TOKEN: PASSWORD },
    client,
    tellsPolicy: emulator === null,
    async listCommands(work) {
      const seen = await listRedisCommands(client, work);
      return seen.filter(({ source }) => source !== 'lua').map(({ name }) => name);
    },
    async close() {
      client.disconnect();
      await emulator?.close();
      await server.stop();
    },
  };
}
