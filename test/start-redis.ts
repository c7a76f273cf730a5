import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '../dev/ports.ts';
import { type RedisServer, startRedis } from '../dev/redis.ts';
import { CACHE_DIR } from '../dev/stack.ts';

/** A Redis server that no other test file uses. */
export interface TestRedis {
  /** Contains the password. */
  url: string;
  port: number;
  stop(): Promise<void>;
}

/** Another program may take a free port first, also the second port of a cluster's node, which is 10,000 above it. */
const PORTS_TRIED_MAX = 5;

/** @param settings lines of its configuration */
export async function startTestRedis(password: string, settings: readonly string[] = []): Promise<TestRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'worldkeep-redis-'));
  const start = async (tried: number): Promise<RedisServer> => {
    try {
      return await startRedis({
        dataDir: join(dir, `data-${tried}`),
        cacheDir: CACHE_DIR,
        port: await findFreePort(0),
        password,
        settings,
        durable: false,
        logFile: join(dir, `redis-${tried}.log`),
        log: () => undefined,
      });
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
      if (!isTaken || tried === PORTS_TRIED_MAX) throw error;
      return start(tried + 1);
    }
  };
  const { url, port, stop } = await start(1);
  return {
    url,
    port,
    async stop() {
      await stop();
      rmSync(dir, { recursive: true });
    },
  };
}
