import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REDIS_WAYS, type RedisWay } from '../test/redis-ways.ts';
import { uniqueName } from '../test/support.ts';
import { CacheManager, type CacheOptions } from './cache-manager.ts';
import { createCacheStore } from './redis/cache.ts';
import type { RedisClient } from './redis/client.ts';
import { LIMITS } from './world/limits.ts';

describe.each(REDIS_WAYS)('CacheManager, %s', (_, openWay) => {
  let way: RedisWay;
  let redis: RedisClient;
  beforeAll(async () => {
    way = await openWay();
    redis = way.open();
  });
  afterAll(async () => {
    await redis?.close();
    await way?.close();
  });

  const make = (options: Partial<CacheOptions> = {}, client = redis) =>
    new CacheManager(createCacheStore(client), { tenantId: uniqueName('t'), ...options });

  it('gives back what was set, as it was, until it is deleted', async () => {
    const cache = make();
    const values = [
      { position: { x: 0.1, y: -5e-324, z: 1e308 }, properties: { list: [], text: 'žluťoučký 🐎' } },
      '123',
      0,
      false,
      null,
    ];
    for (const value of values) {
      expect(await cache.set('object', 'o', value, 60)).toBe(true);
      expect(await cache.get('object', 'o')).toEqual(value);
    }
    expect(await cache.delete('object', 'o')).toBe(true);
    expect(await cache.get('object', 'o')).toBeNull();
    expect(await cache.delete('object', 'o')).toBe(true);
  });

  it('keeps types, ids and tenants apart, also where their names run together', async () => {
    const cache = make();
    await cache.set('a:b', 'c', 1);
    await cache.set('a', 'b:c', 2);
    await cache.setUserSession('c', 3);
    expect([await cache.get('a:b', 'c'), await cache.get('a', 'b:c')]).toEqual([1, 2]);
    expect(await cache.getUserSession('c')).toBe(3);
    expect(await cache.forTenant(uniqueName('other')).get('a:b', 'c')).toBeNull();
  });

  it('forgets after the ttl, in seconds', async () => {
    const tenantId = uniqueName('t');
    const cache = make({ tenantId });
    await cache.set('short', 'x', 1, 77);
    await cache.set('default', 'x', 1);
    await cache.setUserSession('u', { space: 'main' });
    const ttlOf = async (key: string) => Number(await redis.command('TTL', `wk:{${tenantId}}:${key}`));
    expect([76, 77]).toContain(await ttlOf('cache:short!x'));
    expect([299, 300]).toContain(await ttlOf('cache:default!x'));
    expect([86_399, 86_400]).toContain(await ttlOf('user-session:u'));
    await redis.command('PEXPIRE', `wk:{${tenantId}}:cache:short!x`, '0');
    expect(await cache.get('short', 'x')).toBeNull();
  });

  it('refuses what cannot be kept, and says what and why', async () => {
    const cache = make();
    const circle: { self?: unknown } = {};
    circle.self = circle;
    const large = 'x'.repeat(LIMITS.cacheValueBytesMax);
    const calls: [string, () => Promise<unknown>][] = [
      ['/type', () => cache.get('a type', 'x')],
      ['/id', () => cache.set('t', 'a}b', 1)],
      ['/id', () => cache.delete('t', '')],
      ['/userId', () => cache.setUserSession('a!b', 1)],
      ['/action', () => cache.checkRateLimit('u', 'a b')],
      ['/data', () => cache.set('t', 'x', undefined)],
      ['/data', () => cache.set('t', 'x', 1n)],
      ['/data', () => cache.set('t', 'x', circle)],
      ['/data', () => cache.set('t', 'x', large)],
      ['/ttl', () => cache.set('t', 'x', 1, 0)],
      ['/ttl', () => cache.set('t', 'x', 1, 1.5)],
      ['/ttl', () => cache.setUserSession('u', 1, LIMITS.cacheTtlSecondsMax + 1)],
    ];
    for (const [path, call] of calls)
      await expect(call()).rejects.toMatchObject({ code: 'validation_failed', errors: [{ path }] });
    expect(await cache.set('t', 'x', large.slice(2))).toBe(true);
  });

  it('counts hits and misses over all processes, and reads them where they are counted', async () => {
    const tenantId = uniqueName('t');
    const calls: string[] = [];
    const counted: RedisClient = {
      ...redis,
      eval: (...args) => {
        calls.push('eval');
        return redis.eval(...args);
      },
      command: (...args) => {
        calls.push(args[0]);
        return redis.command(...args);
      },
    };
    const [one, other] = [make({ tenantId }, counted), make({ tenantId })];
    expect(await one.getStats()).toMatchObject({ hits: 0, misses: 0, hitRate: 0, reachable: true });
    calls.length = 0;
    await one.set('t', 'x', 1);
    await one.get('t', 'x');
    expect(calls).toEqual(['SET', 'eval']);
    await other.get('t', 'x');
    await other.getUserSession('x');
    await other.get('t', 'y');
    await other.get('t', 'x');
    const stats = await one.getStats();
    expect(stats).toMatchObject({ hits: 3, misses: 2, hitRate: 0.6, reachable: true });
    expect(stats.keys).toBeGreaterThanOrEqual(2);
    expect(stats.memoryBytes === null || stats.memoryBytes > 0).toBe(true);
    expect(await make().getStats()).toMatchObject({ hits: 0, misses: 0 });
  });

  it('limits an action of a user over all processes, each action by its own limit', async () => {
    const tenantId = uniqueName('t');
    const options = { tenantId, actionLimits: { chat: { requests: 3, windowSeconds: 600 } } };
    const [one, other] = [make(options), make(options)];
    const first = await one.checkRateLimit('u', 'chat');
    expect(first).toEqual({
      allowed: true,
      limit: 3,
      windowSeconds: 600,
      remaining: 2,
      retryAfterSeconds: 0,
    });
    expect((await other.checkRateLimit('u', 'chat')).remaining).toBe(1);
    expect((await one.checkRateLimit('u', 'chat')).remaining).toBe(0);
    for (const cache of [other, one, other]) {
      const refused = await cache.checkRateLimit('u', 'chat');
      expect(refused).toMatchObject({ allowed: false, remaining: 0 });
      expect(refused.retryAfterSeconds).toBeGreaterThan(100);
      expect(refused.retryAfterSeconds).toBeLessThanOrEqual(200);
    }
    expect((await one.checkRateLimit('another', 'chat')).remaining).toBe(2);
    expect(await one.checkRateLimit('u', 'toString')).toMatchObject({ allowed: true, limit: 100 });
    expect((await one.forTenant(uniqueName('t')).checkRateLimit('u', 'chat')).allowed).toBe(true);
  });

  it.each(['refuse', 'hang'] as const)(
    'throws nothing while Redis is away (%s), and tells why',
    async (kind) => {
      const client = way.open({ timeoutMs: 200 });
      const told: unknown[] = [];
      const options = { onError: (error: unknown) => void told.push(error) };
      const cache = make(options, client);
      await cache.set('t', 'x', 'canary-of-the-value');
      way.inject({ kind });
      try {
        expect(await cache.get('t', 'x')).toBeNull();
        expect(await cache.set('t', 'x', 'canary-of-the-value')).toBe(false);
        expect(await cache.delete('t', 'x')).toBe(false);
        expect(await cache.setUserSession('u', 'canary-of-the-value')).toBe(false);
        expect(await cache.getUserSession('u')).toBeNull();
        expect(await cache.deleteUserSession('u')).toBe(false);
        expect(await cache.getStats()).toMatchObject({ reachable: false, keys: null });
        const decisions = [];
        for (let i = 0; i < 62; i++) decisions.push(await cache.checkRateLimit('u', 'chat'));
        expect(decisions[0]).toMatchObject({ allowed: true, limit: LIMITS.actionsPerMinuteAlone });
        expect(decisions.filter(({ allowed }) => allowed).length).toBeGreaterThanOrEqual(60);
        expect(decisions.at(-1)?.allowed).toBe(false);
      } finally {
        way.clear();
      }
      expect(told.length).toBeGreaterThanOrEqual(8);
      for (const error of told) expect(String((error as Error).message)).not.toContain('canary');
      await client.close();
    },
  );
});
