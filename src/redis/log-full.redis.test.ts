import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { HttpEmulator } from '../../dev/emulators/http.ts';
import { startUpstashEmulator } from '../../dev/emulators/upstash.ts';
import { openSpace } from '../../test/redis-log.ts';
import { startTestRedis, type TestRedis } from '../../test/start-redis.ts';
import type { RedisClient } from './client.ts';
import { createLogStore } from './log.ts';
import { openTcpRedis } from './tcp.ts';
import { openUpstash } from './upstash.ts';

const PASSWORD = 'a-long-password';
const WAYS = ['Upstash over HTTP', 'ioredis over TCP'] as const;

/** A Redis of its own: here it is filled, emptied and set to evict. */
describe('a Redis that is full, or forgets', () => {
  let server: TestRedis;
  let emulator: HttpEmulator;
  let tcp: RedisClient;
  let clients: Record<(typeof WAYS)[number], RedisClient>;
  beforeAll(async () => {
    server = await startTestRedis(PASSWORD);
    emulator = await startUpstashEmulator({ redisUrl: server.url, token: PASSWORD, port: 0 });
    tcp = openTcpRedis({ host: '127.0.0.1', port: server.port, password: PASSWORD, timeoutMs: 5_000 });
    const http = openUpstash({ url: emulator.url, token: PASSWORD, timeoutMs: 5_000 });
    clients = { 'Upstash over HTTP': http, 'ioredis over TCP': tcp };
  });
  afterEach(async () => {
    await configure('maxmemory', '0');
    await configure('maxmemory-policy', 'noeviction');
  });
  afterAll(async () => {
    await tcp?.close();
    await emulator?.close();
    await server?.stop();
  });
  const configure = (name: string, value: string) => tcp.command('CONFIG', 'SET', name, value);

  it.each(WAYS)('[D7a] refuses an append before anything is written, %s', async (way) => {
    const space = await openSpace(clients[way]);
    await space.add();
    const before = await space.dump();
    await configure('maxmemory', '1');
    await expect(
      space.append({
        waits: true,
        idempotency: { principal: 'p', key: 'k', fingerprint: 'f', ttlSeconds: 60 },
        budget: { principal: 'p', requestsPerMinute: 9, updatesPerMinute: 9 },
      }),
    ).rejects.toMatchObject({ code: 'store_unavailable', message: 'Redis is full: nothing was written.' });
    expect(await space.dump()).toEqual(before);
  });

  it.each(WAYS)('lets drains through all the same, %s', async (way) => {
    const space = await openSpace(clients[way]);
    const { seq, token } = await space.add({ waits: true });
    await configure('maxmemory', '1');
    expect(await space.read({ token })).toMatchObject({ status: 'read', entries: [{ seq }] });
    expect(await space.settle(seq, { token, operations: 1, entries: 1, latencyMsSum: 1 })).toEqual({
      last: seq,
      isDrained: true,
      restMs: 0,
      snapshot: null,
    });
    expect(await space.dirtySince()).toBeNull();
    expect(await space.log.readInstance()).not.toBe('');
    await space.log.retire(space.address, space.opened.incarnation);
    expect(await space.read()).toMatchObject({ status: 'deleted' });
  });

  it.each(WAYS)(
    '[L4g] rises through a Redis that lost everything, and has another name then, %s',
    async (way) => {
      const space = await openSpace(clients[way]);
      const { seq } = await space.add();
      const name = await space.log.readInstance();
      await tcp.command('FLUSHALL');
      expect(await space.log.readInstance()).not.toBe(name);
      expect(await space.append()).toEqual({ status: 'cold', isLogAbsent: true });
      const cursor = seq + 3_600_000_000;
      const again = await space.add({ opened: { ...space.opened, cursor } });
      expect(again.seq).toBe(cursor + 1);
      expect(await space.read()).toMatchObject({
        after: cursor,
        entries: [{ seq: again.seq, prev: cursor }],
      });
    },
  );

  it('finds out that it evicts, where it says so', async () => {
    const [http, plain] = WAYS.map((way) => createLogStore(clients[way]));
    expect(await plain?.findFault()).toBeNull();
    await configure('maxmemory-policy', 'allkeys-lru');
    expect(await plain?.findFault()).toBe('evicts');
    // Upstash answers no question of this kind.
    expect(await http?.findFault()).toBeNull();
  });
});
