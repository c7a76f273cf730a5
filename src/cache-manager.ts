import { type RateLimit, RateLimiter } from './access/rate-limiter.ts';
import { compressText, expandText } from './helpers/compressed-text.ts';
import type { CacheStats, CacheStore } from './persistence/cache-store.ts';
import { AppError } from './world/errors.ts';
import { LIMITS } from './world/limits.ts';
import { checkId } from './world/schemas.ts';
import type { WorldState } from './world/types.ts';

export type { CacheStats, CacheStore } from './persistence/cache-store.ts';

export interface CacheOptions {
  tenantId: string;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** The limit of a user's actions that `actionLimits` does not name. Default 100 a minute. */
  actionLimit?: RateLimit;
  actionLimits?: Readonly<Record<string, RateLimit>>;
  /** Told why a call could not reach Redis. The error never holds what was being kept. */
  onError?: (error: unknown) => void;
}

export interface ActionDecision {
  allowed: boolean;
  /** The limit of the window that was used. */
  limit: number;
  windowSeconds: number;
  /** How many more actions are allowed now. */
  remaining: number;
  /** Seconds after which there may be one more; 0 where it is allowed. */
  retryAfterSeconds: number;
}

/**
 * The cache of a tenant, for game servers. An outage of Redis never throws, because a cache is no reason for a world to stop. Each method
 * documents its answer, and `onError` is called. A wrong call is an `AppError` with `errors[] {path, message}`. Examples: an invalid id, a
 * value that is too large or not JSON, a ttl out of range.
 */
export class CacheManager {
  readonly #store: CacheStore;
  readonly #options: CacheOptions;
  readonly #limiter: RateLimiter;

  constructor(store: CacheStore, options: CacheOptions, limiter?: RateLimiter) {
    this.#store = store;
    this.#options = options;
    this.#limiter =
      limiter ??
      new RateLimiter(store, {
        now: options.now ?? (() => Date.now()),
        requestsPerMinuteAlone: LIMITS.actionsPerMinuteAlone,
        onEvent: (told) => 'cause' in told && options.onError?.(told.cause),
      });
  }

  /** The same cache for another tenant. */
  forTenant(tenantId: string): CacheManager {
    return new CacheManager(this.#store, { ...this.#options, tenantId }, this.#limiter);
  }

  async disconnect(): Promise<void> {
    await this.#store.close();
  }

  /** @returns what was set, or null: not there, expired, or Redis is away. */
  async get<T = unknown>(type: string, id: string): Promise<T | null> {
    const [checkedType, checkedId] = [checkId(type, '/type'), checkId(id, '/id')];
    return this.#read<T>(this.#store.getValue(this.#options.tenantId, checkedType, checkedId));
  }

  /**
   * @param data anything JSON can hold, at most 1 MiB of it.
   * @param ttl seconds, 1 to 30 days; 5 minutes where it is absent.
   * @returns whether it is kept: false while Redis is away.
   */
  async set(
    type: string,
    id: string,
    data: unknown,
    ttl: number = LIMITS.cacheTtlSecondsDefault,
  ): Promise<boolean> {
    const [checkedType, checkedId] = [checkId(type, '/type'), checkId(id, '/id')];
    const [text, ttlSeconds] = [writeJson(data), checkTtl(ttl)];
    return this.#do(this.#store.setValue(this.#options.tenantId, checkedType, checkedId, text, ttlSeconds));
  }

  /** @returns whether it is gone for sure: false while Redis is away, and then it may be read again until it expires. */
  async delete(type: string, id: string): Promise<boolean> {
    const [checkedType, checkedId] = [checkId(type, '/type'), checkId(id, '/id')];
    return this.#do(this.#store.deleteValue(this.#options.tenantId, checkedType, checkedId));
  }

  /** Keeps what a game server knows of a person who is here. @param ttl seconds; a day where it is absent. @returns as `set` */
  async setUserSession(
    userId: string,
    sessionData: unknown,
    ttl: number = LIMITS.userSessionTtlSecondsDefault,
  ): Promise<boolean> {
    const [id, text, ttlSeconds] = [checkId(userId, '/userId'), writeJson(sessionData), checkTtl(ttl)];
    return this.#do(this.#store.setUserSession(this.#options.tenantId, id, text, ttlSeconds));
  }

  /** @returns as `get` */
  async getUserSession<T = unknown>(userId: string): Promise<T | null> {
    return this.#read<T>(this.#store.getUserSession(this.#options.tenantId, checkId(userId, '/userId')));
  }

  /** @returns as `delete` */
  async deleteUserSession(userId: string): Promise<boolean> {
    return this.#do(this.#store.deleteUserSession(this.#options.tenantId, checkId(userId, '/userId')));
  }

  /**
   * Caches a copy of a world, as `loadWorldState` gave it. It is for a game server that prefers an old world now to the newest one.
   * Nothing else reads the copy, and no write to the world changes it.
   * @param state anything JSON can hold: 32 MiB of it, and 8 MiB compressed.
   * @param ttl seconds; 5 minutes where it is absent. @returns as `set`
   */
  async cacheWorldState(
    spaceId: string,
    state: unknown,
    ttl: number = LIMITS.cacheTtlSecondsDefault,
  ): Promise<boolean> {
    const [space, ttlSeconds] = [checkId(spaceId, '/spaceId'), checkTtl(ttl)];
    const packed = await compressText(writeJson(state, '/state', LIMITS.worldStateJsonBytesMax));
    if (packed.length > LIMITS.worldStateKeptBytesMax)
      throw refuse(
        '/state',
        `must be at most ${LIMITS.worldStateKeptBytesMax} bytes compressed; this is ${packed.length}`,
      );
    return this.#do(this.#store.setWorldState(this.#options.tenantId, space, packed, ttlSeconds));
  }

  /** @returns what `cacheWorldState` was given, or null: not there, expired, or Redis is away. */
  async getCachedWorldState<T = WorldState>(spaceId: string): Promise<T | null> {
    const packed = this.#store.getWorldState(this.#options.tenantId, checkId(spaceId, '/spaceId'));
    return this.#read<T>(packed.then((text) => text && expandText(text, LIMITS.worldStateJsonBytesMax)));
  }

  /**
   * Counts one action of a user, over the whole deployment. A refused user is refused from memory until an action is allowed again. While
   * Redis is away, this process counts alone, at most 60 a minute.
   */
  async checkRateLimit(userId: string, action: string): Promise<ActionDecision> {
    const { tenantId, actionLimit, actionLimits = {}, now = () => Date.now() } = this.#options;
    const name = `${checkId(userId, '/userId')}!${checkId(action, '/action')}`;
    const named = Object.hasOwn(actionLimits, action) ? actionLimits[action] : actionLimit;
    const asked = named ?? { requests: LIMITS.actionsPerMinuteDefault, windowSeconds: 60 };
    const decision = await this.#limiter.take({ tenantId, kind: 'action', name }, asked);
    const { allowed, limit, remaining, resetAtMs } = decision;
    const retryAfterSeconds = allowed ? 0 : Math.max(1, Math.ceil((resetAtMs - now()) / 1_000));
    return {
      allowed,
      limit: limit.requests,
      windowSeconds: limit.windowSeconds,
      remaining,
      retryAfterSeconds,
    };
  }

  /** Counts of the tenant's cache. Two commands, in parallel. */
  async getStats(): Promise<CacheStats> {
    try {
      const stats = await this.#store.readStats(this.#options.tenantId);
      const reads = stats.hits + stats.misses;
      return { ...stats, hitRate: reads === 0 ? 0 : stats.hits / reads, reachable: true };
    } catch (error) {
      this.#options.onError?.(error);
      return { hits: 0, misses: 0, hitRate: 0, keys: null, memoryBytes: null, reachable: false };
    }
  }

  async #read<T>(work: Promise<string | null>): Promise<T | null> {
    try {
      const text = await work;
      return text === null ? null : (JSON.parse(text) as T);
    } catch (error) {
      this.#options.onError?.(error);
      return null;
    }
  }

  async #do(work: Promise<void>): Promise<boolean> {
    try {
      await work;
      return true;
    } catch (error) {
      this.#options.onError?.(error);
      return false;
    }
  }
}

function writeJson(data: unknown, path = '/data', bytesMax: number = LIMITS.cacheValueBytesMax): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(data);
  } catch {
    // A circle, or a bigint; or longer than any text may be.
  }
  if (text === undefined) throw refuse(path, 'must be something JSON can hold');
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > bytesMax) throw refuse(path, `must be at most ${bytesMax} bytes as JSON; this is ${bytes}`);
  return text;
}

function checkTtl(ttl: number): number {
  if (Number.isInteger(ttl) && ttl >= 1 && ttl <= LIMITS.cacheTtlSecondsMax) return ttl;
  throw refuse('/ttl', `must be whole seconds from 1 to ${LIMITS.cacheTtlSecondsMax}`);
}

function refuse(path: string, message: string): AppError {
  return new AppError('validation_failed', 'The input is not valid.', { errors: [{ path, message }] });
}
