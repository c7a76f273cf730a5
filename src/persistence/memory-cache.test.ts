import { describe, expect, it } from 'vitest';
import { CacheManager, type CacheOptions } from '../cache-manager.ts';
import { createMemoryCache } from './memory-cache.ts';

describe('CacheManager without a Redis', () => {
  function make(options: Partial<CacheOptions> = {}) {
    let nowMs = 1_000_000;
    const now = () => nowMs;
    const cache = new CacheManager(createMemoryCache(now), { tenantId: 't', now, ...options });
    const pass = (ms: number) => {
      nowMs += ms;
    };
    return { cache, pass };
  }

  it('[F6f] gives back a copy of a value until it is deleted or expires', async () => {
    const { cache, pass } = make();
    const value = { position: { x: 0.1, y: -5e-324, z: 1e308 }, list: [], text: 'ü𝄞' };
    expect(await cache.set('object', 'o', value, 60)).toBe(true);
    value.list.push('later' as never);
    expect(await cache.get('object', 'o')).toEqual({ ...value, list: [] });
    expect(await cache.delete('object', 'o')).toBe(true);
    expect(await cache.get('object', 'o')).toBeNull();
    await cache.set('object', 'o', 1, 60);
    await cache.setUserSession('u', { space: 'main' });
    await cache.cacheWorldState('main', { objects: [] });
    pass(59_999);
    expect(await cache.get('object', 'o')).toBe(1);
    pass(2);
    expect(await cache.get('object', 'o')).toBeNull();
    pass(300_000);
    expect(await cache.getCachedWorldState('main')).toBeNull();
    expect(await cache.getUserSession('u')).toEqual({ space: 'main' });
    expect(await cache.deleteUserSession('u')).toBe(true);
    expect(await cache.getUserSession('u')).toBeNull();
  });

  it('keeps types, ids and tenants apart, and refuses the same inputs', async () => {
    const { cache } = make();
    await cache.set('a:b', 'c', 1);
    await cache.set('a', 'b:c', 2);
    await cache.setUserSession('c', 3);
    expect([await cache.get('a:b', 'c'), await cache.get('a', 'b:c')]).toEqual([1, 2]);
    expect(await cache.getUserSession('c')).toBe(3);
    expect(await cache.forTenant('other').get('a:b', 'c')).toBeNull();
    await expect(cache.set('t', 'x', 1, 0)).rejects.toMatchObject({ code: 'validation_failed' });
  });

  it('counts hits, misses, keys and bytes', async () => {
    const { cache, pass } = make();
    await cache.set('t', 'short', 1, 1);
    await cache.set('t', 'x', 1);
    await cache.get('t', 'x');
    await cache.get('t', 'y');
    pass(2_000);
    expect(await cache.getStats()).toMatchObject({
      hits: 1,
      misses: 1,
      hitRate: 0.5,
      keys: 1,
      reachable: true,
    });
    expect(await cache.forTenant('other').getStats()).toMatchObject({ hits: 0, misses: 0 });
  });

  it('drops the values that were not used for longest when it is full', async () => {
    const { cache } = make();
    const large = 'x'.repeat(1_000_000);
    for (let i = 0; i < 70; i++) {
      expect(await cache.set('t', `o-${i}`, large)).toBe(true);
      expect(await cache.get('t', 'o-0')).toBe(large);
    }
    expect(await cache.get('t', 'o-1')).toBeNull();
    expect(await cache.get('t', 'o-69')).toBe(large);
  });

  it('limits each action of a user', async () => {
    const { cache, pass } = make({ actionLimits: { chat: { requests: 2, windowSeconds: 60 } } });
    const take = async () => (await cache.checkRateLimit('u', 'chat')).allowed;
    expect([await take(), await take(), await take()]).toEqual([true, true, false]);
    expect(await cache.checkRateLimit('another', 'chat')).toMatchObject({ allowed: true, limit: 2 });
    pass(30_001);
    expect([await take(), await take()]).toEqual([true, false]);
  });

  it('gives nothing after its end, and reports why', async () => {
    const told: unknown[] = [];
    const { cache } = make({ onError: (error) => void told.push(error) });
    await cache.set('t', 'x', 1);
    await cache.disconnect();
    expect([await cache.get('t', 'x'), await cache.set('t', 'x', 1)]).toEqual([null, false]);
    expect(await cache.getStats()).toMatchObject({ reachable: false });
    expect(told).toMatchObject(Array(3).fill({ code: 'store_unavailable' }));
  });
});
