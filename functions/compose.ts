import { tryGetContext } from 'hono/context-storage';
import { uuidv7 } from 'uuidv7';
import { ApiKeys } from '../src/access/api-keys.ts';
import { RateLimiter } from '../src/access/rate-limiter.ts';
import { Sessions } from '../src/access/sessions.ts';
import { Analytics } from '../src/analytics/analytics.ts';
import { Audit } from '../src/audit/audit.ts';
import {
  type BucketConfig,
  type Config,
  type DatabaseConfig,
  type Env,
  misconfigured,
  parseConfig,
  type RedisConfig,
} from '../src/config.ts';
import { pause, startTimer } from '../src/helpers/time.ts';
import { AssetLibrary, type FileStore } from '../src/library/asset-library.ts';
import type { StreamingHash } from '../src/library/inspected-body.ts';
import type { LiveSource } from '../src/live/live-stores.ts';
import { Presence } from '../src/live/presence.ts';
import { SpaceChanges } from '../src/live/space-changes.ts';
import { SpaceStreams } from '../src/live/space-streams.ts';
import { DeadLetters } from '../src/log/dead-letters.ts';
import { DirectLog } from '../src/log/direct-log.ts';
import { Drain } from '../src/log/drain.ts';
import { createFindCursor } from '../src/log/find-cursor.ts';
import { Incidents } from '../src/log/incidents.ts';
import type { DrainStore, LogStore } from '../src/log/log-stores.ts';
import { PostedBudget } from '../src/log/posted-budget.ts';
import { createNoteAhead } from '../src/log/readers-ahead.ts';
import { SpaceLog } from '../src/log/space-log.ts';
import type { Spill } from '../src/log/spill.ts';
import { SpillingLog } from '../src/log/spilling-log.ts';
import { countWrites } from '../src/metrics/count-writes.ts';
import type { Counting } from '../src/metrics/metrics.ts';
import { PersistenceLayer } from '../src/persistence-layer.ts';
import { createAnalyticsStore } from '../src/postgres/analytics-store.ts';
import { createApiKeyStore } from '../src/postgres/api-key-store.ts';
import { createAssetStore } from '../src/postgres/asset-store.ts';
import { createAuditStore } from '../src/postgres/audit-store.ts';
import { type Caller, NO_CALLER, type Postgres } from '../src/postgres/client.ts';
import { createDrainStore } from '../src/postgres/drain-store.ts';
import { logQueries } from '../src/postgres/log-queries.ts';
import { createStateLoader } from '../src/postgres/operations/load-snapshot.ts';
import { createSessionStore } from '../src/postgres/session-store.ts';
import { withBreaker } from '../src/postgres/with-breaker.ts';
import { withDeadline } from '../src/postgres/with-deadline.ts';
import { createWorldStore } from '../src/postgres/world-store.ts';
import { createQueue } from '../src/qstash/queue.ts';
import type { RedisClient } from '../src/redis/client.ts';
import { createFinishedJobs } from '../src/redis/jobs.ts';
import { KnownLogs } from '../src/redis/known-logs.ts';
import { createLogStore } from '../src/redis/log.ts';
import { createPersonTraces } from '../src/redis/person-traces.ts';
import { createPresenceStore } from '../src/redis/presence.ts';
import { createRateLimitStore } from '../src/redis/rate-limit.ts';
import { createStateStore } from '../src/redis/snapshot.ts';
import { createStreamPlaces } from '../src/redis/stream-places.ts';
import { SpaceState, type StateLoader } from '../src/state/space-state.ts';
import { LIMITS } from '../src/world/limits.ts';
import { openEvents } from './compose-events.ts';
import { countBatch, openFigures, openMetrics } from './compose-metrics.ts';
import { openMemory, openSpill, returnsSpilled } from './compose-outages.ts';
import { openUpkeep } from './compose-upkeep.ts';
import type { AppContext, AppEnv, Principal, Services } from './http/context.ts';
import { describeError } from './http/describe-error.ts';
import { createLog, type Log } from './http/log.ts';
import type { FetchAsset } from './http/static-files.ts';
import { readTraceHeaders } from './http/trace.ts';

/** Connections to Postgres for jobs, opened when a job runs: a second call of a job finds that the first runs. */
const JOB_CONNECTIONS = 2;

/** The differences between the runtimes. */
export interface Runtime {
  /** Called once for requests and once for jobs, which take longer. @throws misconfigured for a store it cannot reach. */
  openPostgres(database: DatabaseConfig & Outgoing & { readCaller: () => Caller }): Postgres;
  /** Called once. @throws misconfigured for a store it cannot reach. */
  openRedis(redis: RedisConfig & Outgoing): RedisClient;
  /** Called once, where there is a Redis. */
  openLive(redis: RedisConfig & Outgoing): LiveSource & { close?(): void };
  /** Whether the process ends before its requests do, and `endStreams` is called then. */
  endsStreams: boolean;
  /** Called once. @returns the bucket for models and media; null: none is configured */
  openBucket(bucket: BucketConfig | null): FileStore | null;
  /** A SHA-256 of bytes that come in pieces. */
  createHash(): StreamingHash;
  readAddress(c: AppContext): string | null;
  cut(c: AppContext): void;
  /** Null: the page at `/` is not deployed with this server. */
  fetchAsset: FetchAsset | null;
}

interface Outgoing {
  /** To be sent with every call over HTTP: whose trace it belongs to. */
  readHeaders: () => Record<string, string>;
}

export interface Composition extends Services {
  /** Ends the streams that are open, and lets none be opened any more. */
  endStreams(): void;
  /** Closes TCP connections; over HTTP there are none. Call it once, after the last request. */
  close(): Promise<void>;
}

/**
 * Builds everything from the environment: the only place that knows both the stores and the classes. Runtimes differ only in the parts of
 * compose-worker.ts and compose-node.ts.
 * @throws misconfigured if variables contradict each other, or ask for a feature that this version does not have
 */
export function compose(env: Env, runtime: Runtime): Composition {
  const { openPostgres, openRedis, readAddress, cut, fetchAsset } = runtime;
  const config = parseConfig(env);
  refuseUnserved(config, runtime);
  if (config.database === null) throw misconfigured('DATABASE_URL', 'must be set.');
  const readHeaders = () => readTraceHeaders(tryGetContext<AppEnv>()?.get('trace'));
  const audit = { auditsMoves: config.auditTransforms };
  const now = () => Date.now();
  const log = createLog({ level: config.logLevel, now });
  const guardedPostgres = withBreaker(openPostgres({ ...config.database, readHeaders, readCaller }));
  const postgres = config.queryLoggingEnabled
    ? logQueries(guardedPostgres, { now, onQuery: (event) => log('info', 'query', { ...event }) })
    : guardedPostgres;
  // Not behind the breaker: a refresh that takes long does not mean that Postgres is away.
  const slowPostgres = openPostgres({
    ...config.database,
    poolSize: JOB_CONNECTIONS,
    timeoutMs: LIMITS.refreshMsMax,
    readHeaders,
    readCaller,
  });
  const credentials = withDeadline(postgres, LIMITS.storeSlowMs);
  const redis = config.redis === null ? null : openRedis({ ...config.redis, readHeaders });
  const drainStore = createDrainStore(postgres, audit);
  const logs = redis && openLogs(redis, drainStore, { now, log });
  const logStore = logs?.store ?? null;
  const underWay = new Set<Promise<unknown>>();
  const defer = (work: Promise<unknown>) => {
    underWay.add(work);
    void work.catch(() => undefined).finally(() => underWay.delete(work));
  };
  const counts = openMetrics(config, { postgres, redis, now, log, defer });
  const { metrics } = counts;
  const { spaceLog, drain } = openLog(config, logStore, drainStore, { now, log, metrics });
  const budget = new PostedBudget(drainStore, now);
  const returnMsMax = runtime.endsStreams ? Number.POSITIVE_INFINITY : LIMITS.spillReturnMsMax;
  const spill = openSpill(config, postgres, drainStore, returnMsMax, {
    spaceLog,
    logStore,
    drain,
    now,
    log,
    metrics,
  });
  const state = openState(config, redis, createStateLoader(postgres), {
    spaceLog,
    drain,
    spill,
    logs,
    now,
    log,
    metrics,
  });
  const { events, ownEvents, onPresence, onSession, endEvents } = openEvents(config, redis, postgres, {
    now,
    log,
    metrics,
    defer,
  });
  const presence = redis && new Presence(createPresenceStore(redis), onPresence);
  const live = config.redis === null ? null : runtime.openLive({ ...config.redis, readHeaders });
  const changes = logs && new SpaceChanges(logs.store, drainStore, logs.noteAhead);
  const streams =
    redis === null || logStore === null || live === null || changes === null
      ? null
      : new SpaceStreams(
          changes,
          { changes: logStore, live, places: createStreamPlaces(redis) },
          {
            clock: { now, after: startTimer },
            heartbeatMs: config.limits.streamHeartbeatSeconds * 1_000,
            createId: () => crypto.randomUUID(),
            presence,
            remembers: runtime.endsStreams,
            openLog: async (address) => spaceLog?.open(address),
            onEvent: ({ event, address, cause }) =>
              log(event === 'stream_dropped' ? 'info' : 'error', event, {
                tenantId: address.tenantId,
                ...(cause !== undefined && { causes: describeError(cause, { withPlaces: true }) }),
              }),
          },
        );
  const memory = openMemory(config, spill, logs?.known ?? null, { now, log, metrics });
  const spilling = {
    idempotencyTtlSeconds: config.limits.idempotencyTtlSeconds,
    messagesPerMinute: config.limits.rateLimitChatPerMinute,
    requestsPerMinute: config.limits.rateLimitRequestsPerMinute,
    updatesPerMinute: config.limits.rateLimitUpdatesPerMinute,
    now,
  };
  const worldLog = countWrites(
    spaceLog === null || spill === null
      ? new DirectLog(drainStore, now, spilling.messagesPerMinute)
      : new SpillingLog(spaceLog, spill, budget, spilling, memory),
    metrics,
  );
  const drains = drain && spill && returnsSpilled(drain, spill);
  const assets = new AssetLibrary(createAssetStore(postgres), runtime.openBucket(config.bucket), {
    bytesMax: config.limits.assetBytesMax,
    fileBytesMax: config.limits.assetFileBytesMax,
    quotaBytes: config.limits.assetQuotaBytes,
    createHash: () => runtime.createHash(),
    now,
    createId: uuidv7,
    onFailure: (cause) => log('warn', 'object_not_deleted', { causes: describeError(cause) }),
  });
  return {
    config,
    persistence: new PersistenceLayer(
      createWorldStore(postgres),
      {
        ...{ log: worldLog, state, defer, events },
        people: {
          redis:
            redis && drains
              ? {
                  traces: createPersonTraces(redis),
                  drainSpace: (address, budget) => drains.drainSpace(address, budget),
                  drainEvents: (budget) => events.drain(budget),
                }
              : null,
          removeObject: (tenantId, objectKey) => assets.removeObject(tenantId, objectKey),
        },
      },
      { tenantId: config.defaultTenantId, spaceId: config.defaultSpaceId },
    ),
    apiKeys: new ApiKeys(createApiKeyStore(credentials), {
      now,
      cacheMs: config.limits.apiKeyCacheSeconds * 1_000,
    }),
    sessions: new Sessions(createSessionStore(credentials), {
      now,
      cacheMs: config.limits.apiKeyCacheSeconds * 1_000,
      keys: config.sessionSigning,
      presence,
      onPresenceAway: (cause) => log('warn', 'presence_away', { causes: describeError(cause) }),
      onSession,
    }),
    limiter: new RateLimiter(redis && createRateLimitStore(redis), {
      now,
      requestsPerMinuteAlone: config.limits.rateLimitAloneRequestsPerMinute,
      onEvent: (told) =>
        told.event === 'rate_limit_restored'
          ? log('info', told.event)
          : log('warn', told.event, { reason: told.reason, causes: describeError(told.cause) }),
    }),
    log,
    metrics,
    readMetrics: counts.read,
    readAddress,
    pingCache: redis === null ? null : () => redis.ping(),
    readAwaySince: () => ({ database: guardedPostgres.awaySinceMs, cache: redis?.awaySinceMs ?? null }),
    finishedJobs: redis && createFinishedJobs(redis),
    now,
    spaceLog,
    changes,
    streams,
    cut,
    fetchAsset,
    drains,
    presence,
    deadLetters: new DeadLetters(drainStore, worldLog),
    incidents: new Incidents(drainStore),
    figures: openFigures(config, { postgres, redis, now }),
    assets,
    analytics: new Analytics(createAnalyticsStore(postgres, slowPostgres), { now }),
    audit: new Audit(createAuditStore(postgres)),
    ...openUpkeep(config, postgres, { redis, known: logs?.known ?? null, assets, now, log }),
    events,
    ownEvents,
    defer,
    endStreams: () => streams?.endAll(),
    async close() {
      live?.close?.();
      await memory?.end();
      spill?.end();
      drain?.endRests();
      await endEvents();
      await counts.end();
      await Promise.allSettled(underWay);
      // Drains that were under way have counted too.
      await counts.end();
      await Promise.all([postgres.close(), slowPostgres.close(), redis?.close()]);
    },
  };
}

/** The caller of the request that is served now. A job has none. */
function readCaller(): Caller {
  const c = tryGetContext<AppEnv>();
  if (c === undefined) return NO_CALLER;
  const principal: Principal | undefined = c.get('principal');
  return { actor: principal?.actor ?? null, requestId: c.get('requestId') ?? null };
}

/** The logs in Redis, the facts that this process knows of them, and the listener for readers that are ahead of them. */
function openLogs(redis: RedisClient, drainStore: DrainStore, { now, log }: { now: () => number; log: Log }) {
  const known = new KnownLogs(redis, { findCursor: createFindCursor(drainStore, { now, pause }) });
  const store = createLogStore(redis, {}, known);
  const noteAhead = createNoteAhead(drainStore, store, {
    now,
    onFailure: ({ tenantId }, cause) =>
      log('warn', 'reader_ahead_failed', { tenantId, causes: describeError(cause) }),
  });
  return { known, store, noteAhead };
}

/** The log of all spaces, and what drains it; null where there is no Redis. */
function openLog(
  config: Config,
  logStore: LogStore | null,
  drainStore: DrainStore,
  { now, log, metrics }: { now: () => number; log: Log; metrics: Counting },
): { spaceLog: SpaceLog | null; drain: Drain | null } {
  if (logStore === null) return { spaceLog: null, drain: null };
  const { qstash, publicUrl, limits } = config;
  const queue = qstash === null || publicUrl === null ? null : createQueue({ ...qstash, publicUrl });
  const drain = new Drain(logStore, drainStore, {
    now,
    pause,
    publishDrain: queue && ((message) => queue.publishDrain(message)),
    retention: {
      resultsSeconds: limits.idempotencyTtlSeconds,
      deadLetterDays: limits.deadLetterRetentionDays,
    },
    onEvent({ event, address, count, kind, cause }) {
      if (event === 'dead_letters') metrics.add('worldkeep_dead_letters_total', {}, count);
      else if (event !== 'drain_incident') metrics.add('worldkeep_drain_failures_total', { kind: event });
      log(event === 'dead_letters' ? 'warn' : 'error', event, {
        ...(address !== null && { tenantId: address.tenantId }),
        ...(count !== undefined && { count }),
        ...(kind !== undefined && { kind }),
        ...(cause !== undefined && { causes: describeError(cause) }),
      });
    },
    onBatch: (batch) => countBatch(metrics, batch),
  });
  const spaceLog = new SpaceLog(logStore, drainStore, drain, {
    now,
    pause,
    idempotencyTtlSeconds: limits.idempotencyTtlSeconds,
    requestsPerMinute: limits.rateLimitRequestsPerMinute,
    updatesPerMinute: limits.rateLimitUpdatesPerMinute,
    messagesPerMinute: limits.rateLimitChatPerMinute,
    backlog: {
      bytesMax: limits.backlogBytesMax,
      entriesMax: limits.backlogEntriesMax,
      ageMsMax: limits.backlogAgeSecondsMax * 1_000,
    },
    commitsAlways: !config.batchProcessingEnabled,
    auditsMoves: config.auditTransforms,
  });
  return { spaceLog, drain };
}

/** The cached states of worlds; null without a Redis. */
function openState(
  config: Config,
  redis: RedisClient | null,
  loader: StateLoader,
  {
    spaceLog,
    drain,
    spill,
    logs,
    now,
    log,
    metrics,
  }: {
    spaceLog: SpaceLog | null;
    drain: Drain | null;
    spill: Spill | null;
    logs: ReturnType<typeof openLogs> | null;
    now: () => number;
    log: Log;
    metrics: Counting;
  },
): SpaceState | null {
  if (redis === null || spaceLog === null || drain === null || logs === null) return null;
  const state = new SpaceState(createStateStore(redis, {}, logs.known), loader, spaceLog, drain, {
    noteAhead: logs.noteAhead,
    now,
    pause,
    createToken: () => crypto.randomUUID(),
    keeps: config.cacheEnabled,
    spill,
    onRead: (result) => metrics.add('worldkeep_state_reads_total', { result }),
    onEvent: ({ event, address, cause }) =>
      log('warn', event, { tenantId: address.tenantId, causes: describeError(cause) }),
  });
  drain.setSnapshotRenewer(state);
  return state;
}

/** Refuses features that this version does not have: ignoring them would silently break a promise. */
function refuseUnserved(config: Config, { endsStreams }: Runtime): void {
  if (!config.persistenceEnabled)
    throw misconfigured(
      'PERSISTENCE_ENABLED',
      'cannot be off because a server keeps its API keys and worlds in Postgres.',
    );
  if (config.memoryFallbackEnabled && !endsStreams)
    throw misconfigured(
      'MEMORY_FALLBACK_ENABLED',
      'cannot be on in a Worker because nothing there outlives a request.',
    );
  if (config.memoryFallbackEnabled && config.redis === null)
    throw misconfigured(
      'MEMORY_FALLBACK_ENABLED',
      'cannot be on without a Redis, whose log orders the writes that memory holds.',
    );
}
