import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REDIS_WAYS, type RedisWay } from '../test/redis-ways.ts';
import { uniqueName } from '../test/support.ts';
import { CacheManager, type CacheOptions } from './cache-manager.ts';
import { createCacheStore } from './redis/cache.ts';
import type { RedisClient } from './redis/client.ts';
import { LIMITS } from './world/limits.ts';

describe.each(REDIS_WAYS)('CacheManager and world states, %s', (_, openWay) => {
  let way: RedisWay;
  let redis: RedisClient;
  beforeAll(async () => {
    way = await openWay();
    redis = way.open({ timeoutMs: 20_000 });
  });
  afterAll(async () => {
    await redis?.close();
    await way?.close();
  });

  const make = (options: Partial<CacheOptions> = {}, client = redis) =>
    new CacheManager(createCacheStore(client), { tenantId: uniqueName('t'), ...options });
  const state = (objects: object[]) => ({ space: { id: 'main' }, seq: 1_795_342_742_930_000, objects });

  it('gives back what was kept, to the last bit, also where it is several MiB', async () => {
    const cache = make();
    const objects = Array.from({ length: 20_000 }, (_, i) => ({
      id: `o-${i}`,
      position: { x: i / 3, y: -5e-324, z: 1e308 },
      properties: { text: `žluťoučký 🐎 ${'\uFEFF'} ${i}`, list: [], nothing: null, tag: `${i * 7_919}` },
    }));
    for (const kept of [state([]), state(objects)]) {
      expect(await cache.cacheWorldState('main', kept)).toBe(true);
      expect(await cache.getCachedWorldState('main')).toEqual(kept);
    }
    expect(JSON.stringify(state(objects)).length).toBeGreaterThan(2 * 1024 * 1024);
    expect(await cache.getCachedWorldState('other')).toBeNull();
  });

  it('keeps it in a key of its own, compressed, and for no longer than asked', async () => {
    const tenantId = uniqueName('t');
    const cache = make({ tenantId });
    const kept = state(Array.from({ length: 1_000 }, (_, i) => ({ id: `o-${i}`, name: 'the same' })));
    await cache.cacheWorldState('main', kept, 77);
    await cache.cacheWorldState('other', kept);
    const names = (await redis.command('KEYS', `wk:{${tenantId}*`)) as string[];
    const keys = ['main', 'other'].map((space) => `wk:{${tenantId}!${space}}:world-state`);
    expect(names.toSorted()).toEqual(keys);
    const [ttl, otherTtl, bytes] = await redis.pipeline([
      ...keys.map((key) => ['TTL', key] as const),
      ['STRLEN', keys[0] ?? ''],
    ]);
    expect([76, 77]).toContain(ttl);
    expect([299, 300]).toContain(otherTtl);
    expect(Number(bytes)).toBeLessThan(JSON.stringify(kept).length / 4);
    await redis.command('PEXPIRE', keys[0] ?? '', '0');
    expect(await cache.getCachedWorldState('main')).toBeNull();
  });

  it('keeps tenants and spaces apart', async () => {
    const cache = make();
    const other = cache.forTenant(uniqueName('t'));
    await cache.cacheWorldState('main', state([{ id: 'mine' }]));
    await other.cacheWorldState('main', state([{ id: 'theirs' }]));
    expect(await cache.getCachedWorldState('main')).toEqual(state([{ id: 'mine' }]));
    expect(await other.getCachedWorldState('main')).toEqual(state([{ id: 'theirs' }]));
    expect(await other.getCachedWorldState('plaza')).toBeNull();
  });

  it('counts its hits and misses with the others, in one command each', async () => {
    const calls: string[] = [];
    const tenantId = uniqueName('t');
    const cache = make(
      { tenantId },
      {
        ...redis,
        eval: (...args) => {
          calls.push('eval');
          return redis.eval(...args);
        },
        command: (...args) => {
          calls.push(args[0]);
          return redis.command(...args);
        },
      },
    );
    await cache.getCachedWorldState('main');
    await cache.cacheWorldState('main', state([]));
    await cache.getCachedWorldState('main');
    await cache.getCachedWorldState('main');
    await cache.get('object', 'o');
    expect(calls).toEqual(['eval', 'SET', 'eval', 'eval', 'eval']);
    const stats = await cache.getStats();
    expect(stats).toMatchObject({ hits: 2, misses: 2, hitRate: 0.5, reachable: true });
    expect(Object.keys(stats).toSorted()).toEqual(
      ['hitRate', 'hits', 'keys', 'memoryBytes', 'misses', 'reachable'].toSorted(),
    );
  });

  it('refuses what cannot be kept, and says what and why', async () => {
    const cache = make();
    const random = randomBytes(12 * 1024 * 1024).toString('base64');
    const calls: [path: string, says: RegExp, () => Promise<unknown>][] = [
      ['/spaceId', /characters/, () => cache.cacheWorldState('a space', state([]))],
      ['/spaceId', /characters/, () => cache.getCachedWorldState('')],
      ['/state', /something JSON can hold/, () => cache.cacheWorldState('main', undefined)],
      ['/state', /something JSON can hold/, () => cache.cacheWorldState('main', 1n)],
      ['/ttl', /whole seconds/, () => cache.cacheWorldState('main', state([]), 0)],
      [
        '/state',
        new RegExp(
          `at most ${LIMITS.worldStateJsonBytesMax} bytes as JSON; this is ${LIMITS.worldStateJsonBytesMax + 2}`,
        ),
        () => cache.cacheWorldState('main', 'x'.repeat(LIMITS.worldStateJsonBytesMax)),
      ],
      [
        '/state',
        new RegExp(`at most ${LIMITS.worldStateKeptBytesMax} bytes compressed; this is \\d{8}`),
        () => cache.cacheWorldState('main', random),
      ],
    ];
    for (const [path, says, call] of calls)
      await expect(call()).rejects.toMatchObject({
        code: 'validation_failed',
        errors: [{ path, message: expect.stringMatching(says) }],
      });
    const most = 'x'.repeat(LIMITS.worldStateJsonBytesMax - 2);
    expect(await cache.cacheWorldState('main', most)).toBe(true);
    expect(await cache.getCachedWorldState<string>('main')).toBe(most);
  });

  it('gives nothing for foreign or endless data, and reports why', async () => {
    const tenantId = uniqueName('t');
    const told: unknown[] = [];
    const cache = make({ tenantId, onError: (error) => void told.push(error) });
    const pack = (text: string | Buffer) => gzipSync(text).toString('base64');
    const wrong = [
      'not base64!',
      btoa('not gzip'),
      pack('{"cut'),
      pack(Buffer.from([0x22, 0xff, 0x22])),
      pack(JSON.stringify(state([]))).slice(0, 40),
      pack(Buffer.alloc(LIMITS.worldStateJsonBytesMax + 1, ' ')),
    ];
    for (const text of wrong) {
      await redis.command('SET', `wk:{${tenantId}!main}:world-state`, text, 'EX', '60');
      expect(await cache.getCachedWorldState('main')).toBeNull();
    }
    expect(told).toHaveLength(wrong.length);
  });

  it.each(['refuse', 'hang'] as const)('throws nothing while Redis is away (%s), and tells', async (kind) => {
    const client = way.open({ timeoutMs: 200 });
    const told: unknown[] = [];
    const cache = make({ onError: (error) => void told.push(error) }, client);
    expect(await cache.cacheWorldState('main', state([]))).toBe(true);
    way.inject({ kind });
    try {
      expect(await cache.cacheWorldState('main', state([]))).toBe(false);
      expect(await cache.getCachedWorldState('main')).toBeNull();
    } finally {
      way.clear();
      await client.close();
    }
    expect(told).toHaveLength(2);
  });
});
