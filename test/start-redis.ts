import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '../dev/ports.ts';
import { startRedis } from '../dev/redis.ts';
import { CACHE_DIR } from '../dev/stack.ts';

/** A Redis server that no other test file uses. */
export interface TestRedis {
  /** Contains the password. */
  url: string;
  port: number;
  stop(): Promise<void>;
}

/** @param settings lines of its configuration */
export async function startTestRedis(password: string, settings: readonly string[] = []): Promise<TestRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'worldkeep-redis-'));
  const { url, port, stop } = await startRedis({
    dataDir: join(dir, 'data'),
    cacheDir: CACHE_DIR,
    port: await findFreePort(0),
    password,
    settings,
    durable: false,
    logFile: join(dir, 'redis.log'),
    log: () => undefined,
  });
  return {
    url,
    port,
    async stop() {
      await stop();
      rmSync(dir, { recursive: true });
    },
  };
}
