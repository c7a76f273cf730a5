import { Redis } from 'ioredis';
import { startUpstashEmulator } from '../../dev/emulators/upstash.ts';
import { listRedisCommands } from '../../dev/redis-monitor.ts';
import { startTestRedis } from '../start-redis.ts';
import type { TargetEnv } from './targets.ts';

/** A Redis for one test: the test can count its commands and may delete its data. */
export interface OwnRedis {
  /** The variables with which a target uses only this Redis. */
  env: TargetEnv;
  client: Redis;
  /** Whether it reports its eviction policy. Upstash does not. */
  tellsPolicy: boolean;
  /** Every command that reaches it while `work` runs, except commands inside scripts and commands of `client`. */
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
