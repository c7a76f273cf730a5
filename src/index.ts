import { fileURLToPath } from 'node:url';
import { uuidv7 } from 'uuidv7';
import { BatchProcessor as Batches, type BatchOptions } from './batch-processor.ts';
import { CacheManager as Cache, type CacheOptions } from './cache-manager.ts';
import { EventLog } from './events/event-log.ts';
import { REDIS_URL_FORM, readRedisUrl } from './helpers/redis-url.ts';
import { DirectLog } from './log/direct-log.ts';
import { Drain } from './log/drain.ts';
import { createFindCursor } from './log/find-cursor.ts';
import { SpaceLog, type SpaceLogOptions } from './log/space-log.ts';
import { createMemoryCache } from './persistence/memory-cache.ts';
import { PersistenceLayer as Layer, type PersistenceOptions } from './persistence-layer.ts';
import type { Postgres } from './postgres/client.ts';
import { createDrainStore } from './postgres/drain-store.ts';
import { createEventTable } from './postgres/event-table.ts';
import { createStateLoader } from './postgres/operations/load-snapshot.ts';
import { openPg } from './postgres/pg.ts';
import { openPglite } from './postgres/pglite.ts';
import { createWorldStore } from './postgres/world-store.ts';
import { createCacheStore } from './redis/cache.ts';
import type { RedisClient } from './redis/client.ts';
import { createEventLogStore } from './redis/event-log.ts';
import { KnownLogs } from './redis/known-logs.ts';
import { createLogStore } from './redis/log.ts';
import { createPersonTraces } from './redis/person-traces.ts';
import { createStateStore } from './redis/snapshot.ts';
import { openTcpRedis } from './redis/tcp.ts';
import { SpaceState } from './state/space-state.ts';
import { AppError } from './world/errors.ts';
import { LIMITS } from './world/limits.ts';
import { readThreeValues } from './world/three-values.ts';

/** The stores that a BatchProcessor joins: each belongs to one of these. A cache without an address has no Redis. */
const postgresOf = new WeakMap<Layer, { postgres: Postgres; isInMemory: boolean }>();
const redisOf = new WeakMap<Cache, () => RedisClient | null>();

/** How a Node server opens its worlds. */
export interface NodePersistenceOptions extends Partial<Omit<PersistenceOptions, 'readInput'>> {
  /**
   * `false`: the worlds are in the memory of this process. They are empty at each start, and all rules are the same. It needs the
   * package `@electric-sql/pglite`, and takes no `databaseUrl`. Default `true`.
   */
  enabled?: boolean | undefined;
  /** As the runtime role, over TCP: `postgresql://worldkeep_app:…@host/database`. Any Postgres serves. Required, unless `enabled` is false. */
  databaseUrl?: string | undefined;
  /** Connections at most. */
  poolSize?: number;
  /** Milliseconds that one statement may take. */
  timeoutMs?: number;
}

/**
 * PersistenceLayer over plain Postgres, for any Node server. Calls that name no tenant or space use the ones given here (`default` and
 * `main`); `connect()` creates them. Without a BatchProcessor every write is one transaction. With one, all writes go through the log in
 * Redis. Positions, rotations and scales may be three.js objects.
 * @throws validation_failed for a `databaseUrl` that is missing, is no URL of a Postgres, or is given with `enabled: false`
 */
export class PersistenceLayer extends Layer {
  constructor({
    enabled,
    databaseUrl,
    poolSize = 20,
    timeoutMs = 10_000,
    ...options
  }: NodePersistenceOptions = {}) {
    const isInMemory = !readEnabled(enabled);
    if (isInMemory) refuseDatabaseUrl(databaseUrl);
    const readCaller = () => ({ actor: options.actor ?? null, requestId: options.requestId ?? null });
    const postgres = isInMemory
      ? openPglite({ findMigrations, readCaller })
      : openPg({ databaseUrl: readDatabaseUrl(databaseUrl), poolSizeMax: poolSize, timeoutMs, readCaller });
    const log = new DirectLog(createDrainStore(postgres), Date.now);
    const events = openEvents(postgres, null, Date.now);
    super(
      createWorldStore(postgres),
      { log, events },
      {
        tenantId: 'default',
        spaceId: 'main',
        readInput: readThreeValues,
        ...options,
      },
    );
    postgresOf.set(this, { postgres, isInMemory });
  }
}

/** How a Node server opens its cache. */
export interface NodeCacheOptions extends Partial<CacheOptions> {
  /**
   * `false`: the cache is in the memory of this process, and needs no Redis. With a `url` or a `host`, a BatchProcessor still keeps its
   * log in that Redis. Default `true`.
   */
  enabled?: boolean | undefined;
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
  constructor({ enabled, url, host, port, password, timeoutMs = 2_000, ...options }: NodeCacheOptions = {}) {
    const isEnabled = readEnabled(enabled);
    const address = readAddress({ url, host, port, password });
    let redis: RedisClient | null = null;
    const openRedis = () => {
      redis ??= openTcpRedis({ ...address, timeoutMs });
      return redis;
    };
    const store = isEnabled
      ? createCacheStore(openRedis())
      : createMemoryCache(options.now ?? Date.now, { onClose: async () => redis?.close() });
    super(store, { tenantId: 'default', ...options });
    redisOf.set(this, () => (isEnabled || url || host ? openRedis() : null));
  }
}

/** How a Node server gathers its updates. */
export interface NodeBatchOptions extends Partial<Omit<BatchOptions, 'makeKey' | 'readNoEffects'>> {
  /** `false`: each operation is sent when it is added, and its promise resolves when it has committed. Default `true`. */
  enabled?: boolean | undefined;
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
 * operations to the log, and the log to Postgres. Without that Redis, and for worlds in memory, each batch is one transaction.
 * @throws validation_failed for a `persistence` or a `cache` that this package did not make
 */
export class BatchProcessor extends Batches {
  /** Null without a log. */
  readonly #log: OpenedLog | null;

  constructor(persistence: PersistenceLayer, cache: CacheManager, options: NodeBatchOptions = {}) {
    const [stores, findRedis] = [postgresOf.get(persistence), redisOf.get(cache)];
    if (stores === undefined || findRedis === undefined)
      throw new AppError(
        'validation_failed',
        'A BatchProcessor needs a PersistenceLayer and a CacheManager.',
      );
    const { enabled, onEvent, log: logOptions = {}, deadLetterRetentionDays = 30, ...rest } = options;
    const isEnabled = readEnabled(enabled);
    const now = options.now ?? Date.now;
    const { postgres, isInMemory } = stores;
    // A log outlives the process, so it cannot be of worlds that do not.
    const redis = isInMemory ? null : findRedis();
    const { idempotencyTtlSeconds = 3_600 } = logOptions;
    const log =
      redis &&
      openLog(persistence, postgres, redis, {
        now,
        onEvent: onEvent ?? (() => undefined),
        deadLetterRetentionDays,
        log: { ...logOptions, idempotencyTtlSeconds, ...(!isEnabled && { commitsAlways: true }) },
      });
    if (log === null)
      persistence.useLog({
        log: new DirectLog(createDrainStore(postgres), now, logOptions.messagesPerMinute),
      });
    // Behind the time for which keys are remembered, what is sent again could be done twice.
    const retryMsMax = Math.min(options.retryMsMax ?? RETRY_MS_MAX, idempotencyTtlSeconds * 500);
    const { tenantId } = { ...persistence.defaults, ...rest };
    super(persistence, {
      ...persistence.defaults,
      ...rest,
      ...(!isEnabled && { itemsMax: 1 }),
      now,
      retryMsMax,
      makeKey: uuidv7,
      ...(log && { readNoEffects: (spaceId, after) => log.readNoEffects({ tenantId, spaceId }, after) }),
    });
    this.#log = log;
  }

  override async shutdown(): Promise<void> {
    this.#log?.stopSweeping();
    try {
      await super.shutdown();
    } finally {
      await this.#log?.drain();
      await this.checkNoEffects();
    }
  }
}

interface OpenedLog extends Pick<ReturnType<typeof createLogStore>, 'readNoEffects'> {
  stopSweeping: () => void;
  /** Moves to Postgres what is in the log. Entries stay in it where that fails. */
  drain: () => Promise<void>;
}

/** Keeps the log of the spaces of `persistence` in Redis from now on, and drains it. */
function openLog(
  persistence: PersistenceLayer,
  postgres: Postgres,
  redis: RedisClient,
  {
    now,
    onEvent,
    deadLetterRetentionDays,
    log,
  }: Required<Pick<NodeBatchOptions, 'onEvent' | 'deadLetterRetentionDays'>> & {
    now: () => number;
    log: NonNullable<NodeBatchOptions['log']> & { idempotencyTtlSeconds: number };
  },
): OpenedLog {
  const drainStore = createDrainStore(postgres);
  const knownLogs = new KnownLogs(redis, { findCursor: createFindCursor(drainStore, { now, pause }) });
  const stores = [createLogStore(redis, {}, knownLogs), drainStore] as const;
  const retention = { resultsSeconds: log.idempotencyTtlSeconds, deadLetterDays: deadLetterRetentionDays };
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
  });
  const state = new SpaceState(
    createStateStore(redis, {}, knownLogs),
    createStateLoader(postgres),
    spaceLog,
    drain,
    { now, pause, createToken: uuidv7, onEvent: () => undefined },
  );
  drain.setSnapshotRenewer(state);
  const events = openEvents(postgres, redis, now);
  persistence.useLog({
    ...{ log: spaceLog, defer, state, events },
    people: {
      redis: {
        traces: createPersonTraces(redis),
        drainSpace: (address, budget) => drain.drainSpace(address, budget),
        drainEvents: (budget) => events.drain(budget),
      },
      removeObject: null,
    },
  });
  const sweepAll = async (budgetMs: number) => {
    await drain.sweep({ budgetMs });
    await events.drain({ budgetMs });
  };
  const sweep = () => defer(sweepAll(SWEEP_MS));
  // Entries that another process left when it ended.
  sweep();
  const sweeping = setInterval(sweep, SWEEP_MS);
  sweeping.unref();
  return {
    readNoEffects: (address, after) => stores[0].readNoEffects(address, after),
    stopSweeping: () => clearInterval(sweeping),
    async drain() {
      drain.endRests();
      events.end();
      await Promise.allSettled(underWay);
      // Entries that a drain left, here or in a dead process. After a failure they stay in the log.
      await sweepAll(LAST_SWEEP_MS).catch(() => undefined);
    },
  };
}

/** @param redis null: each request with events is one transaction */
function openEvents(postgres: Postgres, redis: RedisClient | null, now: () => number): EventLog {
  const options = { now, pause, createId: uuidv7 };
  return new EventLog(redis && createEventLogStore(redis), createEventTable(postgres), options);
}

/** The module is loaded here, because it looks for the package's files: no other server needs them. */
async function findMigrations(): Promise<string> {
  const { MIGRATIONS } = await import('./helpers/package-files.ts');
  return fileURLToPath(MIGRATIONS);
}

/** It keeps no process alive: that do the connections, for as long as they are open. */
function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms).unref();
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
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

/** Text is refused: `enabled: process.env.PERSISTENCE_ENABLED` would be true for 'false'. */
function readEnabled(enabled: unknown = true): boolean {
  if (typeof enabled === 'boolean') return enabled;
  throw invalidOption('enabled', 'must be true or false; Config.parse(process.env) reads flags');
}

function refuseDatabaseUrl(url: unknown): void {
  if (url === undefined || url === null || url === '') return;
  throw invalidOption(
    'databaseUrl',
    'and enabled: false exclude each other: worlds in memory are in no database. Remove one of them',
  );
}

function invalidOption(name: string, message: string): AppError {
  return new AppError('validation_failed', `${name} ${message}.`, {
    errors: [{ path: `/${name}`, message }],
  });
}

export type { BatchEventResult } from './batch-events.ts';
export type { BatchType } from './batch-input.ts';
export type { BatchNoEffect, BatchResult, BatchStats } from './batch-processor.ts';
export type { ActionDecision, CacheStats } from './cache-manager.ts';
export { Config, parseConfig } from './config.ts';
export type { EventCounts } from './events/event-log.ts';
export type { CommittedOperations, Queued } from './log/space-log.ts';
export type { OperationsOptions, Precondition, Saved, TenantCounts } from './persistence-layer.ts';
export { AppError, type ErrorCode, type FieldError } from './world/errors.ts';
export type { WorldEvent } from './world/event.ts';
export { LIMITS } from './world/limits.ts';
export type { Operation, OperationResult } from './world/operation.ts';
export type { StateSource } from './world/read-state-lines.ts';
export type { Region } from './world/region.ts';
export type { StateLine, StatePart, StateView } from './world/state-lines.ts';
export type * from './world/types.ts';
