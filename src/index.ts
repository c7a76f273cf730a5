import { uuidv7 } from 'uuidv7';
import { BatchProcessor as Batches, type BatchOptions } from './batch-processor.ts';
import { CacheManager as Cache, type CacheOptions } from './cache-manager.ts';
import { REDIS_URL_FORM, readRedisUrl } from './helpers/redis-url.ts';
import { DirectLog } from './log/direct-log.ts';
import { Drain } from './log/drain.ts';
import { createFindCursor } from './log/find-cursor.ts';
import { SpaceLog, type SpaceLogOptions } from './log/space-log.ts';
import { PersistenceLayer as Layer, type PersistenceOptions } from './persistence-layer.ts';
import type { Postgres } from './postgres/client.ts';
import { createDrainStore } from './postgres/drain-store.ts';
import { createStateLoader } from './postgres/operations/load-snapshot.ts';
import { openPg } from './postgres/pg.ts';
import { createWorldStore } from './postgres/world-store.ts';
import { createCacheStore } from './redis/cache.ts';
import type { RedisClient } from './redis/client.ts';
import { KnownLogs } from './redis/known-logs.ts';
import { createLogStore } from './redis/log.ts';
import { createStateStore } from './redis/snapshot.ts';
import { openTcpRedis } from './redis/tcp.ts';
import { SpaceState } from './state/space-state.ts';
import { AppError } from './world/errors.ts';
import { LIMITS } from './world/limits.ts';
import { readThreeValues } from './world/three-values.ts';

/** The stores that a BatchProcessor joins: each belongs to one of these. */
const postgresOf = new WeakMap<Layer, Postgres>();
const redisOf = new WeakMap<Cache, RedisClient>();

/** How a Node server opens its worlds. */
export interface NodePersistenceOptions extends Partial<Omit<PersistenceOptions, 'readInput'>> {
  /** As the runtime role, over TCP: `postgresql://worldkeep_app:…@host/database`. Any Postgres serves. */
  databaseUrl: string;
  /** Connections at most. */
  poolSize?: number;
  /** Milliseconds that one statement may take. */
  timeoutMs?: number;
}

/**
 * PersistenceLayer over plain Postgres, for any Node server. Calls that name no tenant or space use the ones given here (`default` and
 * `main`); `connect()` creates them. Without a BatchProcessor every write is one transaction. With one, all writes go through the log in
 * Redis. Positions, rotations and scales may be three.js objects.
 * @throws validation_failed for a `databaseUrl` that is missing or is no URL of a Postgres
 */
export class PersistenceLayer extends Layer {
  constructor({ databaseUrl, poolSize = 20, timeoutMs = 10_000, ...options }: NodePersistenceOptions) {
    const url = readDatabaseUrl(databaseUrl);
    const postgres = openPg({ databaseUrl: url, poolSizeMax: poolSize, timeoutMs });
    const log = new DirectLog(createDrainStore(postgres), Date.now);
    super(createWorldStore(postgres), log, {
      tenantId: 'default',
      spaceId: 'main',
      readInput: readThreeValues,
      ...options,
    });
    postgresOf.set(this, postgres);
  }
}

/** How a Node server opens its cache. */
export interface NodeCacheOptions extends Partial<CacheOptions> {
  /** `rediss://user:password@host:6379/0`, in place of host, port and password; `redis://` is without TLS. */
  url?: string | undefined;
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
 * `disconnect()` ends it. @throws validation_failed for an invalid port or URL, or for a URL together with another member
 */
export class CacheManager extends Cache {
  constructor({ url, host, port, password, timeoutMs = 2_000, ...options }: NodeCacheOptions = {}) {
    const redis = openTcpRedis({ ...readAddress({ url, host, port, password }), timeoutMs });
    super(createCacheStore(redis), { tenantId: 'default', ...options });
    redisOf.set(this, redis);
  }
}

/** How a Node server gathers its updates. */
export interface NodeBatchOptions extends Partial<Omit<BatchOptions, 'makeKey' | 'readNoEffects'>> {
  /** Failed drains, incidents and dead letters, for your log. */
  onEvent?: ConstructorParameters<typeof Drain>[2]['onEvent'];
  /** Days after which an operation that Postgres could not keep is removed. Default 30. */
  deadLetterRetentionDays?: number;
  log?: Partial<
    Pick<SpaceLogOptions, 'idempotencyTtlSeconds' | 'backlog' | 'commitsAlways' | 'messagesPerMinute'>
  >;
}

/** Milliseconds between two looks for spaces that nobody drains, and of each at most. */
const SWEEP_MS = 60_000;
/** Milliseconds that the end waits for the logs to be drained. */
const LAST_SWEEP_MS = 10_000;
/** Milliseconds for which an append is tried again. */
const RETRY_MS_MAX = 1_800_000;
const BACKLOG = {
  bytesMax: LIMITS.backlogBytesMax,
  entriesMax: LIMITS.backlogEntriesMax,
  ageMsMax: LIMITS.backlogAgeSecondsMax * 1_000,
};

/**
 * BatchProcessor over the Postgres of `persistence` and the Redis of `cache`. It keeps the log of their spaces in that Redis, and drains it
 * to Postgres. From now on, writes of `persistence` go through it too. Call `shutdown()` before you close the connections: it moves added
 * operations to the log, and the log to Postgres.
 * @throws validation_failed for a `persistence` or a `cache` that this package did not make
 */
export class BatchProcessor extends Batches {
  readonly #drains: () => Promise<void>;
  readonly #sweeping: ReturnType<typeof setInterval>;

  constructor(persistence: PersistenceLayer, cache: CacheManager, options: NodeBatchOptions = {}) {
    const [postgres, redis] = [postgresOf.get(persistence), redisOf.get(cache)];
    if (postgres === undefined || redis === undefined)
      throw new AppError(
        'validation_failed',
        'A BatchProcessor needs a PersistenceLayer and a CacheManager.',
      );
    const { onEvent = () => undefined, log = {}, deadLetterRetentionDays = 30, ...rest } = options;
    const now = options.now ?? Date.now;
    const drainStore = createDrainStore(postgres);
    const knownLogs = new KnownLogs(redis, { findCursor: createFindCursor(drainStore, { now, pause }) });
    const stores = [createLogStore(redis, {}, knownLogs), drainStore] as const;
    const { idempotencyTtlSeconds = 3_600 } = log;
    const retention = { resultsSeconds: idempotencyTtlSeconds, deadLetterDays: deadLetterRetentionDays };
    const drain = new Drain(...stores, { now, pause, onEvent, publishDrain: null, retention });
    const underWay = new Set<Promise<unknown>>();
    const defer = (work: Promise<unknown>) => {
      underWay.add(work);
      void work.catch(() => undefined).finally(() => underWay.delete(work));
    };
    const spaceLog = new SpaceLog(...stores, drain, {
      now,
      pause,
      requestsPerMinute: 0,
      updatesPerMinute: 0,
      messagesPerMinute: LIMITS.chatMessagesPerMinute,
      backlog: BACKLOG,
      commitsAlways: false,
      ...log,
      idempotencyTtlSeconds,
    });
    const state = new SpaceState(
      createStateStore(redis, {}, knownLogs),
      createStateLoader(postgres),
      spaceLog,
      drain,
      { now, pause, createToken: uuidv7, onEvent: () => undefined },
    );
    drain.setSnapshotRenewer(state);
    persistence.useLog({ log: spaceLog, defer, state });
    // Behind the time for which keys are remembered, what is sent again could be done twice.
    const retryMsMax = Math.min(options.retryMsMax ?? RETRY_MS_MAX, idempotencyTtlSeconds * 500);
    const { tenantId } = { ...persistence.defaults, ...rest };
    const readNoEffects = (spaceId: string, after: number) =>
      stores[0].readNoEffects({ tenantId, spaceId }, after);
    const known = { now, retryMsMax, makeKey: uuidv7, readNoEffects };
    super(persistence, { ...persistence.defaults, ...rest, ...known });
    const sweep = () => defer(drain.sweep({ budgetMs: SWEEP_MS }));
    // Entries that another process left when it ended.
    sweep();
    this.#sweeping = setInterval(sweep, SWEEP_MS);
    this.#sweeping.unref();
    this.#drains = async () => {
      drain.endRests();
      await Promise.allSettled(underWay);
      // Entries that a drain left, here or in a dead process. After a failure they stay in the log.
      await drain.sweep({ budgetMs: LAST_SWEEP_MS }).catch(() => undefined);
    };
  }

  override async shutdown(): Promise<void> {
    clearInterval(this.#sweeping);
    try {
      await super.shutdown();
    } finally {
      await this.#drains();
      await this.checkNoEffects();
    }
  }
}

/** It keeps no process alive: that do the connections, for as long as they are open. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}

function readAddress({ url, host, port, password }: NodeCacheOptions) {
  if (!url)
    return {
      host: host || '127.0.0.1',
      port: readPort(port),
      password,
      variables: { address: 'host', password: 'password' },
    };
  const address = readRedisUrl(url);
  const message =
    host || port || password ? 'cannot be combined with host, port or password' : REDIS_URL_FORM;
  if (address === null || message !== REDIS_URL_FORM)
    throw new AppError('validation_failed', `url ${message}.`, { errors: [{ path: '/url', message }] });
  return { ...address, variables: { address: 'url', password: 'url' } };
}

function readPort(port: number | string | undefined): number {
  if (port === undefined || port === '') return 6_379;
  const number = Number(port);
  if (Number.isInteger(number) && number >= 1 && number <= 65_535) return number;
  throw invalidOption('port', 'must be a whole number from 1 to 65535');
}

/** A driver without a URL would connect to this machine. The value is not repeated: it holds a password. */
function readDatabaseUrl(url: unknown): string {
  const isPostgres = typeof url === 'string' && /^postgres(ql)?:$/.test(URL.parse(url)?.protocol ?? '');
  if (isPostgres) return url;
  const given = url === undefined || url === null || url === '' ? 'is missing' : 'is not one';
  throw invalidOption(
    'databaseUrl',
    `must be a URL like postgresql://user:password@host/database; it ${given}`,
  );
}

function invalidOption(name: string, message: string): AppError {
  return new AppError('validation_failed', `${name} ${message}.`, {
    errors: [{ path: `/${name}`, message }],
  });
}

export type { BatchNoEffect, BatchResult, BatchStats, BatchType } from './batch-processor.ts';
export type { ActionDecision, CacheStats } from './cache-manager.ts';
export { Config, parseConfig } from './config.ts';
export type { CommittedOperations, Queued } from './log/space-log.ts';
export type { OperationsOptions, Precondition, Saved, TenantCounts } from './persistence-layer.ts';
export { AppError, type ErrorCode, type FieldError } from './world/errors.ts';
export { LIMITS } from './world/limits.ts';
export type { Operation, OperationResult } from './world/operation.ts';
export type { StateSource } from './world/read-state-lines.ts';
export type { Region } from './world/region.ts';
export type { StateLine, StatePart, StateView } from './world/state-lines.ts';
export type * from './world/types.ts';
