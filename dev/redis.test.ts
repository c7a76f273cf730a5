import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { findFreePort } from './ports.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { CACHE_DIR } from './stack.ts';

let dir: string;
const servers: RedisServer[] = [];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'redis-test-'));
});
afterEach(() => Promise.all(servers.splice(0).map((server) => server.kill())));
afterAll(() => rmSync(dir, { recursive: true }));

async function start(name: string, port?: number): Promise<RedisServer> {
  const server = await startRedis({
    dataDir: join(dir, name),
    cacheDir: CACHE_DIR,
    port: port ?? (await findFreePort(0)),
    password: 'a-long-password',
    durable: true,
    logFile: join(dir, `${name}.log`),
    log: () => undefined,
  });
  servers.push(server);
  return server;
}

async function run<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, {
    lazyConnect: true,
    enableReadyCheck: false,
    protocol: 2,
    disableClientInfo: true,
    retryStrategy: () => null,
  });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}

it('keeps what it has answered through SIGKILL', async () => {
  const first = await start('kept');
  await run(first.url, (redis) =>
    Promise.all(Array.from({ length: 1_000 }, (_, n) => redis.rpush('list', n))),
  );
  await first.kill();
  const again = await start('kept');
  expect(await run(again.url, (redis) => redis.llen('list'))).toBe(1_000);
  await again.stop();
  expect(again.process.ended()).toBe('exit code 0');
});

it('asks for its password, and never evicts', async () => {
  const { url, port } = await start('settings');
  await expect(run(`redis://127.0.0.1:${port}`, (redis) => redis.get('x'))).rejects.toThrow('NOAUTH');
  const get = async (name: string) => (await run(url, (redis) => redis.config('GET', name))) as string[];
  expect(await get('maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
  expect(await get('appendonly')).toEqual(['appendonly', 'yes']);
  expect(await get('bind')).toEqual(['bind', '127.0.0.1']);
});

it('says that its port is taken, and that its file is damaged', async () => {
  const first = await start('first');
  await expect(start('second', first.port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await first.kill();
  const folder = join(dir, 'first/appendonlydir');
  const file = readdirSync(folder).find((name) => name.endsWith('.incr.aof'));
  writeFileSync(join(folder, file ?? ''), 'not an append-only file');
  await expect(start('first')).rejects.toThrow(
    /^Redis did not start on .*Bad file format.*Its log is .*first\.log/,
  );
});
