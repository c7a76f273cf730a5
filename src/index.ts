import { CacheManager as Cache, type CacheOptions } from './cache-manager.ts';
import { PersistenceLayer as Layer, type PersistenceOptions } from './persistence-layer.ts';
import { openPg } from './postgres/pg.ts';
import { createWorldStore } from './postgres/world-store.ts';
import { createCacheStore } from './redis/cache.ts';
import { openTcpRedis } from './redis/tcp.ts';
import { AppError } from './world/errors.ts';

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

/** How a Node server opens its cache. */
export interface NodeCacheOptions extends Partial<CacheOptions> {
  /** Any Redis from version 7, over TCP. Default `127.0.0.1`. */
  host?: string | undefined;
  /** Default 6379; text, as the environment has it, is read as a number. */
  port?: number | string | undefined;
  password?: string | undefined;
  /** Milliseconds that one call may take. */
  timeoutMs?: number;
}

/**
 * CacheManager over plain Redis, for any Node server. It connects by itself, and again whenever the connection is lost;
 * `disconnect()` ends it. @throws validation_failed for a port that is none
 */
export class CacheManager extends Cache {
  constructor({ host, port, password, timeoutMs = 2_000, ...options }: NodeCacheOptions = {}) {
    const redis = openTcpRedis({ host: host || '127.0.0.1', port: readPort(port), password, timeoutMs });
    super(createCacheStore(redis), { tenantId: 'default', ...options });
  }
}

function readPort(port: number | string | undefined): number {
  if (port === undefined || port === '') return 6_379;
  const number = Number(port);
  if (Number.isInteger(number) && number >= 1 && number <= 65_535) return number;
  const message = 'must be a whole number from 1 to 65535';
  throw new AppError('validation_failed', `port ${message}.`, { errors: [{ path: '/port', message }] });
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
