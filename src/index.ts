import { CacheManager as Cache, type CacheOptions } from './cache-manager.ts';
import { PersistenceLayer as Layer, type PersistenceOptions } from './persistence-layer.ts';
import { openPg } from './postgres/pg.ts';
import { createWorldStore } from './postgres/world-store.ts';
import { createCacheStore } from './redis/cache.ts';
import { openTcpRedis } from './redis/tcp.ts';

/** How a Node server opens its worlds. */
export interface NodePersistenceOptions extends Partial<PersistenceOptions> {
  /** As the runtime role, over TCP: `postgresql://worldkeep_app:…@host/database`. Any Postgres serves. */
  databaseUrl: string;
  /** Connections at most. */
  poolSize?: number;
  /** Milliseconds that one statement may take. */
  timeoutMs?: number;
}

/**
 * PersistenceLayer over plain Postgres, for any Node server. Where a call names no tenant or space, those given here
 * stand in (`default` and `main`); `connect()` makes them where they are new.
 */
export class PersistenceLayer extends Layer {
  constructor({ databaseUrl, poolSize = 20, timeoutMs = 10_000, ...options }: NodePersistenceOptions) {
    const postgres = openPg({ databaseUrl, poolSizeMax: poolSize, timeoutMs });
    super(createWorldStore(postgres), { tenantId: 'default', spaceId: 'main', ...options });
  }
}

/** How a Node server reaches its Redis. */
export interface NodeCacheOptions extends Partial<CacheOptions> {
  host: string;
  /** Default 6379. */
  port?: number;
  password?: string;
  /** Milliseconds that one command may take. */
  timeoutMs?: number;
}

/** CacheManager over plain Redis, for any Node server. Where no tenant is given, `default` stands in. */
export class CacheManager extends Cache {
  constructor({ host, port = 6_379, password, timeoutMs = 2_000, ...options }: NodeCacheOptions) {
    super(createCacheStore(openTcpRedis({ host, port: Number(port), password, timeoutMs })), {
      tenantId: 'default',
      ...options,
    });
  }
}

export type { ActionDecision, CacheStats } from './cache-manager.ts';
export { type Config, parseConfig } from './config.ts';
export type { Precondition, Saved, TenantCounts } from './persistence-layer.ts';
export { AppError, type ErrorCode, type FieldError } from './world/errors.ts';
export { LIMITS } from './world/limits.ts';
export type { StateSource } from './world/read-state-lines.ts';
export type { Region } from './world/region.ts';
export type { StateLine, StatePart, StateView } from './world/state-lines.ts';
export type * from './world/types.ts';
