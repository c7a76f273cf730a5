import type { CacheStore } from '../persistence/cache-store.ts';
import type { RedisClient } from './client.ts';
import { cacheKey, cacheStatsKey, userSessionKey, worldStateKey } from './keys.ts';
import { createRateLimitStore } from './rate-limit.ts';
import { GET_COUNTED } from './scripts.ts';

/** The store of CacheManager, in Redis. Every method is one command; `readStats` is two. */
export function createCacheStore(redis: RedisClient): CacheStore {
  async function get(tenantId: string, key: string): Promise<string | null> {
    const text = await redis.eval(GET_COUNTED, [key, cacheStatsKey(tenantId)], []);
    return text === null ? null : String(text);
  }
  async function set(key: string, text: string, ttlSeconds: number): Promise<void> {
    await redis.command('SET', key, text, 'EX', String(ttlSeconds));
  }
  async function remove(key: string): Promise<void> {
    await redis.command('DEL', key);
  }

  return {
    ...createRateLimitStore(redis),
    getValue: (tenantId, type, id) => get(tenantId, cacheKey(tenantId, type, id)),
    setValue: (tenantId, type, id, text, ttlSeconds) => set(cacheKey(tenantId, type, id), text, ttlSeconds),
    deleteValue: (tenantId, type, id) => remove(cacheKey(tenantId, type, id)),
    getUserSession: (tenantId, userId) => get(tenantId, userSessionKey(tenantId, userId)),
    setUserSession: (tenantId, userId, text, ttlSeconds) =>
      set(userSessionKey(tenantId, userId), text, ttlSeconds),
    deleteUserSession: (tenantId, userId) => remove(userSessionKey(tenantId, userId)),
    getWorldState: (tenantId, spaceId) => get(tenantId, worldStateKey({ tenantId, spaceId })),
    setWorldState: (tenantId, spaceId, text, ttlSeconds) =>
      set(worldStateKey({ tenantId, spaceId }), text, ttlSeconds),
    async readStats(tenantId) {
      const [[counts, keys], memory] = await Promise.all([
        redis.pipeline([['HMGET', cacheStatsKey(tenantId), 'hits', 'misses'], ['DBSIZE']]),
        // Not every Redis tells, and not each in the same words.
        redis.command('INFO', 'memory').catch(() => null),
      ]);
      const [hits, misses] = Array.isArray(counts) ? counts : [];
      return {
        hits: Number(hits ?? 0),
        misses: Number(misses ?? 0),
        keys: Number(keys),
        memoryBytes: readUsedMemory(typeof memory === 'string' ? memory : ''),
      };
    },
    close: () => redis.close(),
  };
}

function readUsedMemory(info: string): number | null {
  const bytes = /^used_memory:(\d+)/m.exec(info)?.[1];
  return bytes === undefined ? null : Number(bytes);
}
