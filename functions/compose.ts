import { tryGetContext } from 'hono/context-storage';
import { ApiKeys } from '../src/api-keys.ts';
import {
  type Config,
  type DatabaseConfig,
  type Env,
  misconfigured,
  parseConfig,
  type RedisConfig,
} from '../src/config.ts';
import { DeadLetters } from '../src/dead-letters.ts';
import { DirectLog } from '../src/direct-log.ts';
import { Drain } from '../src/drain.ts';
import type { DrainStore } from '../src/log-stores.ts';
import { pause } from '../src/pause.ts';
import { PersistenceLayer } from '../src/persistence-layer.ts';
import { createApiKeyStore } from '../src/postgres/api-key-store.ts';
import type { Postgres } from '../src/postgres/client.ts';
import { createDrainStore } from '../src/postgres/drain-store.ts';
import { createSessionStore } from '../src/postgres/session-store.ts';
import { createWorldStore } from '../src/postgres/world-store.ts';
import { Presence } from '../src/presence.ts';
import { createQueue } from '../src/qstash/queue.ts';
import { RateLimiter } from '../src/rate-limiter.ts';
import type { RedisClient } from '../src/redis/client.ts';
import { createFinishedJobs } from '../src/redis/jobs.ts';
import { createLogStore } from '../src/redis/log.ts';
import { createPresenceStore } from '../src/redis/presence.ts';
import { createRateLimitStore } from '../src/redis/rate-limit.ts';
import { Sessions } from '../src/sessions.ts';
import { SpaceLog } from '../src/space-log.ts';
import type { AppContext, AppEnv, Services } from './http/context.ts';
import { describeError } from './http/describe-error.ts';
import { createLog, type Log } from './http/log.ts';
import { readTraceHeaders } from './http/trace.ts';

/** What differs from runtime to runtime. */
export interface Runtime {
  /** Called once. @throws misconfigured for a store it cannot reach. */
  openPostgres(database: DatabaseConfig & Outgoing): Postgres;
  /** Called once. @throws misconfigured for a store it cannot reach. */
  openRedis(redis: RedisConfig & Outgoing): RedisClient;
  readAddress(c: AppContext): string | null;
}

interface Outgoing {
  /** To be sent with every call over HTTP: whose trace it belongs to. */
  readHeaders: () => Record<string, string>;
}

export interface Composition extends Services {
  /** Lets go of what is held open: nothing over HTTP, connections over TCP. To be called once, after the last request. */
  close(): Promise<void>;
}

/**
 * From the environment to the classes: the one place that knows both the stores and those who use them. It is the same
 * for every runtime but for what compose-worker.ts and compose-node.ts give it.
 * @throws misconfigured for what the configuration contradicts, or asks of this version and it cannot give.
 */
export function compose(env: Env, { openPostgres, openRedis, readAddress }: Runtime): Composition {
  const config = parseConfig(env);
  refuseUnserved(config);
  if (config.database === null) throw misconfigured('DATABASE_URL', 'must be set.');
  const readHeaders = () => readTraceHeaders(tryGetContext<AppEnv>()?.get('trace'));
  const postgres = openPostgres({ ...config.database, readHeaders });
  const redis = config.redis === null ? null : openRedis({ ...config.redis, readHeaders });
  const now = () => Date.now();
  const log = createLog({ level: config.logLevel, now });
  const drainStore = createDrainStore(postgres);
  const { spaceLog, drain } = openLog(config, redis, drainStore, { now, log });
  const worldLog = spaceLog ?? new DirectLog(drainStore, now);
  const presence = redis && new Presence(createPresenceStore(redis));
  const underWay = new Set<Promise<unknown>>();
  return {
    config,
    persistence: new PersistenceLayer(createWorldStore(postgres), worldLog, {
      tenantId: config.defaultTenantId,
      spaceId: config.defaultSpaceId,
    }),
    apiKeys: new ApiKeys(createApiKeyStore(postgres), {
      now,
      cacheMs: config.limits.apiKeyCacheSeconds * 1_000,
    }),
    sessions: new Sessions(createSessionStore(postgres), {
      now,
      cacheMs: config.limits.apiKeyCacheSeconds * 1_000,
      keys: config.sessionSigning,
      presence,
      onPresenceAway: (cause) => log('warn', 'presence_away', { causes: describeError(cause) }),
    }),
    limiter: new RateLimiter(redis && createRateLimitStore(redis), {
      now,
      requestsPerMinuteAlone: config.limits.rateLimitAloneRequestsPerMinute,
      tell: (told) =>
        told.event === 'rate_limit_restored'
          ? log('info', told.event)
          : log('warn', told.event, { reason: told.reason, causes: describeError(told.cause) }),
    }),
    log,
    readAddress,
    pingCache: redis === null ? null : () => redis.ping(),
    finishedJobs: redis && createFinishedJobs(redis),
    now,
    spaceLog,
    drains: drain,
    presence,
    deadLetters: new DeadLetters(drainStore, worldLog),
    defer(work) {
      underWay.add(work);
      void work.catch(() => undefined).finally(() => underWay.delete(work));
    },
    async close() {
      await Promise.allSettled(underWay);
      await Promise.all([postgres.close(), redis?.close()]);
    },
  };
}

/** The log of all spaces, and what drains it; null where there is no Redis. */
function openLog(
  config: Config,
  redis: RedisClient | null,
  drainStore: DrainStore,
  { now, log }: { now: () => number; log: Log },
): { spaceLog: SpaceLog | null; drain: Drain | null } {
  if (redis === null) return { spaceLog: null, drain: null };
  const logStore = createLogStore(redis);
  const { qstash, publicUrl, limits } = config;
  const queue = qstash === null || publicUrl === null ? null : createQueue({ ...qstash, publicUrl });
  const drain = new Drain(logStore, drainStore, {
    now,
    publishDrain: queue && ((message) => queue.publishDrain(message)),
    retention: {
      resultsSeconds: limits.idempotencyTtlSeconds,
      deadLetterDays: limits.deadLetterRetentionDays,
    },
    tell: ({ event, address, count, kind, cause }) =>
      log(event === 'dead_letters' ? 'warn' : 'error', event, {
        ...(address !== null && { tenantId: address.tenantId }),
        ...(count !== undefined && { count }),
        ...(kind !== undefined && { kind }),
        ...(cause !== undefined && { causes: describeError(cause) }),
      }),
  });
  const spaceLog = new SpaceLog(logStore, drainStore, drain, {
    now,
    pause,
    idempotencyTtlSeconds: limits.idempotencyTtlSeconds,
    requestsPerMinute: limits.rateLimitRequestsPerMinute,
    updatesPerMinute: limits.rateLimitUpdatesPerMinute,
    backlog: {
      bytesMax: limits.backlogBytesMax,
      entriesMax: limits.backlogEntriesMax,
      ageMsMax: limits.backlogAgeSecondsMax * 1_000,
    },
    commitsAlways: !config.batchProcessingEnabled,
  });
  return { spaceLog, drain };
}

/** What can be asked for and is not served yet is refused: passed over, it would be a promise broken in silence. */
function refuseUnserved(config: Config): void {
  if (!config.persistenceEnabled)
    throw misconfigured(
      'PERSISTENCE_ENABLED',
      'cannot be off in this version: Postgres is where worlds are kept.',
    );
  if (config.memoryFallbackEnabled)
    throw misconfigured(
      'MEMORY_FALLBACK_ENABLED',
      'cannot be on in this version: no write is held in memory.',
    );
  if (config.auditTransforms)
    throw misconfigured('AUDIT_TRANSFORMS', 'cannot be on in this version: it has no audit.');
}
