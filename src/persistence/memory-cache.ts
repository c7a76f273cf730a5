import { LRUCache } from 'lru-cache';
import { AppError } from '../world/errors.ts';
import { ProcessBuckets } from '../world/token-bucket.ts';
import type { CacheStore } from './cache-store.ts';

/** Characters of all keys and values; beyond, the least recently used are dropped. */
const CHARACTERS_MAX = 64 * 1024 * 1024;
const BYTES_PER_CHARACTER = 2;
/** Users and actions that are counted apart. */
const SUBJECTS_MAX = 10_000;

/**
 * The store of CacheManager in the memory of this process, for a server without Redis. It is empty at each start.
 * @param now milliseconds since 1970
 */
export function createMemoryCache(
  now: () => number,
  { onClose = async () => {} }: { onClose?: () => Promise<void> } = {},
): CacheStore {
  const values = new LRUCache<string, string>({
    maxSize: CHARACTERS_MAX,
    sizeCalculation: (text, key) => text.length + key.length,
    perf: { now },
    // Without it the library holds a time in a timer of its own.
    ttlResolution: 0,
  });
  const counts = new Map<string, { hits: number; misses: number }>();
  const buckets = new ProcessBuckets(SUBJECTS_MAX);
  let isClosed = false;

  function refuseClosed(): void {
    if (isClosed) throw new AppError('store_unavailable', 'The cache in memory has been closed.');
  }
  function countsOf(tenantId: string) {
    const known = counts.get(tenantId) ?? { hits: 0, misses: 0 };
    counts.set(tenantId, known);
    return known;
  }
  async function get(tenantId: string, key: string): Promise<string | null> {
    refuseClosed();
    const text = values.get(key) ?? null;
    countsOf(tenantId)[text === null ? 'misses' : 'hits']++;
    return text;
  }
  async function set(key: string, text: string, ttlSeconds: number): Promise<void> {
    refuseClosed();
    values.set(key, text, { ttl: ttlSeconds * 1_000 });
  }
  async function remove(key: string): Promise<void> {
    refuseClosed();
    values.delete(key);
  }

  return {
    getValue: (tenantId, type, id) => get(tenantId, valueKey(tenantId, type, id)),
    setValue: (tenantId, type, id, text, ttlSeconds) => set(valueKey(tenantId, type, id), text, ttlSeconds),
    deleteValue: (tenantId, type, id) => remove(valueKey(tenantId, type, id)),
    getUserSession: (tenantId, userId) => get(tenantId, sessionKey(tenantId, userId)),
    setUserSession: (tenantId, userId, text, ttlSeconds) =>
      set(sessionKey(tenantId, userId), text, ttlSeconds),
    deleteUserSession: (tenantId, userId) => remove(sessionKey(tenantId, userId)),
    getWorldState: (tenantId, spaceId) => get(tenantId, stateKey(tenantId, spaceId)),
    setWorldState: (tenantId, spaceId, text, ttlSeconds) =>
      set(stateKey(tenantId, spaceId), text, ttlSeconds),
    async take({ tenantId, kind, name }, limit, count) {
      refuseClosed();
      const { requests, windowSeconds } = limit;
      // A bucket of another size is another bucket.
      const bucket = `${tenantId ?? ''}!${kind}!${name}!${requests}/${windowSeconds}`;
      return buckets.take(bucket, limit, now(), count);
    },
    async readStats(tenantId) {
      refuseClosed();
      values.purgeStale();
      const memoryBytes = values.calculatedSize * BYTES_PER_CHARACTER;
      return { ...countsOf(tenantId), keys: values.size, memoryBytes };
    },
    async close() {
      isClosed = true;
      values.clear();
      await onClose();
    },
  };
}

/** No id has a `!`, so no two keys are the same. */
function valueKey(tenantId: string, type: string, id: string): string {
  return `${tenantId}!cache!${type}!${id}`;
}

function sessionKey(tenantId: string, userId: string): string {
  return `${tenantId}!user-session!${userId}`;
}

function stateKey(tenantId: string, spaceId: string): string {
  return `${tenantId}!world-state!${spaceId}`;
}
