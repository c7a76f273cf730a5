import type { RateLimitStore } from '../access/rate-limiter.ts';

/** The part of Redis that CacheManager needs; `src/redis/cache.ts` satisfies it over HTTP and TCP. Texts are JSON. */
export interface CacheStore extends RateLimitStore {
  /** Counts a hit or a miss. */
  getValue(tenantId: string, type: string, id: string): Promise<string | null>;
  setValue(tenantId: string, type: string, id: string, text: string, ttlSeconds: number): Promise<void>;
  deleteValue(tenantId: string, type: string, id: string): Promise<void>;
  /** Counts a hit or a miss. */
  getUserSession(tenantId: string, userId: string): Promise<string | null>;
  setUserSession(tenantId: string, userId: string, text: string, ttlSeconds: number): Promise<void>;
  deleteUserSession(tenantId: string, userId: string): Promise<void>;
  /** Counts a hit or a miss. The text is none of its business. */
  getWorldState(tenantId: string, spaceId: string): Promise<string | null>;
  setWorldState(tenantId: string, spaceId: string, text: string, ttlSeconds: number): Promise<void>;
  readStats(tenantId: string): Promise<Omit<CacheStats, 'hitRate' | 'reachable'>>;
  close(): Promise<void>;
}

/** Of the whole deployment, not of one process. */
export interface CacheStats {
  /** Reads of the tenant's that found something, since Redis began. */
  hits: number;
  misses: number;
  /** Hits in all reads, 0 to 1; 0 where there was none. */
  hitRate: number;
  /** Keys in the whole database, every tenant's; null where Redis does not say. */
  keys: number | null;
  /** Bytes of the whole database; null where Redis does not say. */
  memoryBytes: number | null;
  /** False while Redis is away: the counts are then 0 and mean nothing. */
  reachable: boolean;
}
