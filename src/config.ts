import { type BucketConfig, readBucket } from './config/buckets.ts';
import { type DatabaseConfig, type RedisConfig, readDatabase, readRedis } from './config/stores.ts';
import {
  CONFIG_VARIABLES,
  type ConfigVariable,
  type Env,
  isLoopback,
  misconfigured,
  read,
  readCron,
  readFlag,
  readHttpUrl,
  readId,
  readInteger,
  refuseValue,
} from './config/values.ts';
import type { JobSchedules } from './jobs/job-schedules.ts';
import type { UpkeepRetention } from './jobs/upkeep.ts';
import { LIMITS } from './world/limits.ts';

export type { BucketConfig, DatabaseConfig, RedisConfig };
export { CONFIG_VARIABLES, type ConfigVariable, type Env, isLoopback, misconfigured };

export interface QstashConfig {
  url: string;
  token: string;
  currentSigningKey: string;
  nextSigningKey: string;
}

/** Where the functions listen on Node; Workers have no use for it. */
export interface ServerConfig {
  host: string;
  /** 0 is any that is free. */
  port: number;
  /** Milliseconds that requests under way have after a signal to end. */
  shutdownTimeoutMs: number;
}

/** The environment, read once and checked as a whole. */
export interface Config {
  server: ServerConfig;
  /** Null without `DATABASE_URL`, and where persistence is off. */
  database: DatabaseConfig | null;
  redis: RedisConfig | null;
  /** The bucket for models and media on Node. Workers have the binding ASSETS_BUCKET. */
  bucket: BucketConfig | null;
  qstash: QstashConfig | null;
  /** Where QStash reaches this deployment, without a slash at the end; there wherever `qstash` is. */
  publicUrl: string | null;
  /** When the spaces that still have something to drain are swept: five fields, in UTC. */
  drainScheduleCron: string;
  /** When QStash calls the cleanup: five fields, in UTC. */
  cleanupScheduleCron: string;
  /** When the figures of analytics are counted again: five fields, in UTC. */
  refreshScheduleCron: string;
  persistenceEnabled: boolean;
  cacheEnabled: boolean;
  batchProcessingEnabled: boolean;
  analyticsEnabled: boolean;
  memoryFallbackEnabled: boolean;
  auditTransforms: boolean;
  defaultTenantId: string;
  defaultSpaceId: string;
  metricsToken: string | null;
  /** The key that signs session tokens, and the previous key; null: sessions are neither created nor accepted. */
  sessionSigning: { key: string; previousKey: string | null } | null;
  /** Origins whose pages may call the API from a browser; `'*'` is any; none by default. */
  corsAllowedOrigins: readonly string[] | '*';
  logLevel: LogLevel;
  /** One line for each transaction in Postgres: its statements without values, milliseconds, rows. */
  queryLoggingEnabled: boolean;
  limits: {
    idempotencyTtlSeconds: number;
    jsonBodyBytesMax: number;
    stateBodyBytesMax: number;
    /** Milliseconds without a byte after which a request's body is given up. */
    bodyTimeoutMs: number;
    apiKeyCacheSeconds: number;
    readyzTimeoutMs: number;
    healthCacheSeconds: number;
    /** Of each API key and each session, over the whole deployment; 0: not counted. */
    rateLimitRequestsPerMinute: number;
    /** The same while a process counts alone, where that is less. */
    rateLimitAloneRequestsPerMinute: number;
    /** Of each address; 0: not counted. */
    rateLimitUnknownCredentialsPerMinute: number;
    /** Operations of each principal in a space; 0: not counted. */
    rateLimitUpdatesPerMinute: number;
    /** Messages of each person in a space; 0: not counted. */
    rateLimitChatPerMinute: number;
    /** Bytes of a file in one request, of a file in parts, and of all files of a tenant. */
    assetBytesMax: number;
    assetFileBytesMax: number;
    assetQuotaBytes: number;
    /** Limits of a space's backlog. Above them writes are refused until it has drained. */
    backlogBytesMax: number;
    backlogEntriesMax: number;
    /** Of the oldest entry that waits. */
    backlogAgeSecondsMax: number;
    deadLetterRetentionDays: number;
    /** Days after which a cleanup removes events, deleted messages, deleted spaces, incidents, and sessions that are over. */
    eventRetentionDays: number;
    chatDeletedRetentionDays: number;
    spaceDeletedRetentionDays: number;
    incidentRetentionDays: number;
    sessionRetentionDays: number;
    /** Between two signs of life of a stream: proxies cut what is silent for longer than they like. */
    streamHeartbeatSeconds: number;
  };
}

/** The least that is logged. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const MIB = 1024 * 1024;
const PUBLIC_URL_NEEDED =
  'must be set, because QSTASH_TOKEN is set. It is the address of this deployment, such as https://worldkeep.example.';
const METRICS_TOKEN_LENGTH_MIN = 16;
/** Of HS256: a shorter key is weaker than the signature. */
const SIGNING_KEY_BYTES_MIN = 32;

/**
 * Reads the configuration out of an environment. An empty value is as good as none.
 * @throws misconfigured one sentence that names the variable; the value of a secret is never in it.
 */
export function parseConfig(env: Env): Config {
  const redis = readRedis(env);
  const database = readDatabase(env);
  const persistenceEnabled = readFlag(env, 'PERSISTENCE_ENABLED', true);
  const config: Config = {
    server: readServer(env),
    database: persistenceEnabled ? database : null,
    redis,
    bucket: readBucket(env),
    qstash: readQstash(env),
    publicUrl: readPublicUrl(env),
    drainScheduleCron: readDrainCron(env),
    cleanupScheduleCron: readCleanupCron(env),
    refreshScheduleCron: readRefreshCron(env),
    persistenceEnabled,
    cacheEnabled: readFlag(env, 'CACHE_ENABLED', redis !== null),
    batchProcessingEnabled: readFlag(env, 'BATCH_PROCESSING_ENABLED', redis !== null),
    analyticsEnabled: readFlag(env, 'ANALYTICS_ENABLED', true),
    memoryFallbackEnabled: readFlag(env, 'MEMORY_FALLBACK_ENABLED', false),
    auditTransforms: readFlag(env, 'AUDIT_TRANSFORMS', false),
    defaultTenantId: readId(env, 'DEFAULT_TENANT_ID', 'default'),
    defaultSpaceId: readId(env, 'DEFAULT_SPACE_ID', 'main'),
    metricsToken: readMetricsToken(env),
    sessionSigning: readSessionSigning(env),
    corsAllowedOrigins: readOrigins(env),
    logLevel: readLogLevel(env),
    queryLoggingEnabled: readFlag(env, 'QUERY_LOGGING_ENABLED', false),
    limits: {
      idempotencyTtlSeconds: readInteger(
        env,
        'IDEMPOTENCY_TTL_SECONDS',
        3_600,
        LIMITS.appendKeySeconds,
        86_400,
      ),
      jsonBodyBytesMax: readInteger(env, 'JSON_BODY_BYTES_MAX', MIB, 1_024, 32 * MIB),
      stateBodyBytesMax: readInteger(env, 'STATE_BODY_BYTES_MAX', 32 * MIB, 1_024, 100 * MIB),
      bodyTimeoutMs: readInteger(env, 'BODY_TIMEOUT_MS', 8_000, 50, 600_000),
      apiKeyCacheSeconds: readInteger(env, 'API_KEY_CACHE_SECONDS', 5, 0, 300),
      readyzTimeoutMs: readInteger(env, 'READYZ_TIMEOUT_MS', 1_000, 50, 10_000),
      healthCacheSeconds: readInteger(env, 'HEALTH_CACHE_SECONDS', 3, 0, 60),
      rateLimitRequestsPerMinute: readInteger(env, 'RATE_LIMIT_REQUESTS_PER_MINUTE', 12_000, 0, 1_000_000),
      rateLimitAloneRequestsPerMinute: readInteger(
        env,
        'RATE_LIMIT_ALONE_REQUESTS_PER_MINUTE',
        6_000,
        1,
        1_000_000,
      ),
      rateLimitUnknownCredentialsPerMinute: readInteger(
        env,
        'RATE_LIMIT_UNKNOWN_CREDENTIALS_PER_MINUTE',
        600,
        0,
        1_000_000,
      ),
      rateLimitUpdatesPerMinute: readInteger(
        env,
        'RATE_LIMIT_UPDATES_PER_MINUTE',
        1_200_000,
        0,
        1_000_000_000,
      ),
      rateLimitChatPerMinute: readInteger(
        env,
        'RATE_LIMIT_CHAT_PER_MINUTE',
        LIMITS.chatMessagesPerMinute,
        0,
        1_000_000,
      ),
      assetBytesMax: readInteger(env, 'ASSET_BYTES_MAX', 95 * MIB, 1, 5_000 * MIB),
      assetFileBytesMax: readInteger(env, 'ASSET_FILE_BYTES_MAX', 2_048 * MIB, 1, 65_536 * MIB),
      assetQuotaBytes: readInteger(env, 'ASSET_QUOTA_BYTES', 10_240 * MIB, 0, 2 ** 50),
      backlogBytesMax: readInteger(env, 'BACKLOG_BYTES_MAX', LIMITS.backlogBytesMax, 1_024, 65_536 * MIB),
      backlogEntriesMax: readInteger(env, 'BACKLOG_ENTRIES_MAX', LIMITS.backlogEntriesMax, 1, 100_000_000),
      backlogAgeSecondsMax: readInteger(
        env,
        'BACKLOG_AGE_SECONDS_MAX',
        LIMITS.backlogAgeSecondsMax,
        1,
        604_800,
      ),
      deadLetterRetentionDays: readInteger(env, 'DEAD_LETTER_RETENTION_DAYS', 30, 1, 3_650),
      eventRetentionDays: readInteger(env, 'EVENT_RETENTION_DAYS', 30, 1, 3_650),
      chatDeletedRetentionDays: readInteger(env, 'CHAT_DELETED_RETENTION_DAYS', 7, 1, 3_650),
      spaceDeletedRetentionDays: readInteger(env, 'SPACE_DELETED_RETENTION_DAYS', 7, 1, 3_650),
      incidentRetentionDays: readInteger(env, 'INCIDENT_RETENTION_DAYS', 90, 1, 3_650),
      sessionRetentionDays: readInteger(env, 'SESSION_RETENTION_DAYS', 7, 1, 3_650),
      streamHeartbeatSeconds: readInteger(
        env,
        'STREAM_HEARTBEAT_SECONDS',
        LIMITS.streamHeartbeatSecondsDefault,
        1,
        LIMITS.streamHeartbeatSecondsMax,
      ),
    },
  };
  refuseContradictions(config);
  return freeze(config);
}

/** When QStash starts each job; null without a QStash. */
export function readSchedules(config: Config): JobSchedules {
  const { qstash, drainScheduleCron, cleanupScheduleCron, refreshScheduleCron } = config;
  const ifCalled = (cron: string) => (qstash === null ? null : cron);
  return {
    drain: ifCalled(drainScheduleCron),
    cleanup: ifCalled(cleanupScheduleCron),
    'refresh-views': ifCalled(refreshScheduleCron),
  };
}

/** Days after which a cleanup removes each kind. */
export function readRetention({ limits }: Pick<Config, 'limits'>): UpkeepRetention {
  return {
    eventDays: limits.eventRetentionDays,
    chatDeletedDays: limits.chatDeletedRetentionDays,
    spaceDeletedDays: limits.spaceDeletedRetentionDays,
    deadLetterDays: limits.deadLetterRetentionDays,
    incidentDays: limits.incidentRetentionDays,
    sessionDays: limits.sessionRetentionDays,
    resultsSeconds: limits.idempotencyTtlSeconds,
  };
}

/** Reads the environment: `Config.parse(process.env)`. `Config.variables` lists the names. */
export const Config = Object.freeze({ parse: parseConfig, variables: CONFIG_VARIABLES });

function refuseContradictions(config: Config): void {
  if (config.persistenceEnabled && config.database === null)
    throw misconfigured(
      'DATABASE_URL',
      'must be set, because worlds are kept in Postgres (PERSISTENCE_ENABLED is on).',
    );
  if (config.qstash !== null && config.publicUrl === null)
    throw misconfigured('PUBLIC_URL', PUBLIC_URL_NEEDED);
  if (config.redis !== null) return;
  for (const [on, name] of [
    [config.cacheEnabled, 'CACHE_ENABLED'],
    // Worlds in memory have no log.
    [config.batchProcessingEnabled && config.persistenceEnabled, 'BATCH_PROCESSING_ENABLED'],
  ] as const)
    if (on)
      throw misconfigured(
        name,
        'is on, which needs a Redis: set UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN, REDIS_URL or REDIS_HOST.',
      );
}

function readServer(env: Env): ServerConfig {
  const host = read(env, 'HOST') ?? '127.0.0.1';
  if (!/^[\w.:-]+$/.test(host)) throw refuseValue(env, 'HOST', 'must be a host name or an address');
  return {
    host,
    port: readInteger(env, 'PORT', 8_080, 0, 65_535),
    shutdownTimeoutMs: readInteger(env, 'SHUTDOWN_TIMEOUT_MS', 10_000, 0, 600_000),
  };
}

function readQstash(env: Env): QstashConfig | null {
  const names = ['QSTASH_TOKEN', 'QSTASH_CURRENT_SIGNING_KEY', 'QSTASH_NEXT_SIGNING_KEY'] as const;
  const [token, currentSigningKey, nextSigningKey] = names.map((name) => read(env, name));
  const url = readQstashUrl(env);
  if (token && currentSigningKey && nextSigningKey) {
    refuseDevelopmentKeys(env);
    return { url, token, currentSigningKey, nextSigningKey };
  }
  const given = names.find((name) => read(env, name) !== null);
  if (given === undefined) return null;
  const absent = names.filter((name) => read(env, name) === null);
  throw misconfigured(given, `is set, and ${absent.join(' and ')} ${absent.length > 1 ? 'are' : 'is'} not.`);
}

function readQstashUrl(env: Env): string {
  return readHttpUrl(env, 'QSTASH_URL') ?? 'https://qstash.upstash.io';
}

/** The keys of QStash's development server. They are public, so their signatures prove nothing. */
const DEVELOPMENT_SIGNING_KEYS = ['sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r', 'sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs'];

function refuseDevelopmentKeys(env: Env): void {
  const publicUrl = readPublicUrl(env);
  if (publicUrl !== null && isLoopback(new URL(publicUrl).hostname)) return;
  for (const name of ['QSTASH_CURRENT_SIGNING_KEY', 'QSTASH_NEXT_SIGNING_KEY'] as const)
    if (DEVELOPMENT_SIGNING_KEYS.includes(read(env, name) ?? ''))
      throw misconfigured(
        name,
        "is of QStash's development server, which everybody has: set the one that its console shows.",
      );
}

/** The part of the configuration for QStash's schedules: no store, and no signing key. */
export interface QueueConfig {
  url: string;
  token: string;
  publicUrl: string;
  drainScheduleCron: string;
  cleanupScheduleCron: string;
  refreshScheduleCron: string;
}

/** @throws misconfigured one sentence that names the variable. */
export function parseQueueConfig(env: Env): QueueConfig {
  const token = read(env, 'QSTASH_TOKEN');
  const publicUrl = readPublicUrl(env);
  if (token === null) throw misconfigured('QSTASH_TOKEN', 'must be set: QStash accepts no call without it.');
  if (publicUrl === null) throw misconfigured('PUBLIC_URL', PUBLIC_URL_NEEDED);
  return {
    url: readQstashUrl(env),
    token,
    publicUrl,
    drainScheduleCron: readDrainCron(env),
    cleanupScheduleCron: readCleanupCron(env),
    refreshScheduleCron: readRefreshCron(env),
  };
}

/** The part of the configuration for Redis alone. @throws misconfigured */
export function parseRedisConfig(env: Env): { redis: RedisConfig; defaultTenantId: string } {
  const redis = readRedis(env);
  if (redis === null)
    throw misconfigured(
      'UPSTASH_REDIS_REST_URL',
      'or REDIS_URL or REDIS_HOST must be set: it names the Redis.',
    );
  return { redis, defaultTenantId: readId(env, 'DEFAULT_TENANT_ID', 'default') };
}

/** Where this deployment is reached: what comes behind it is a route. */
function readPublicUrl(env: Env): string | null {
  const value = readHttpUrl(env, 'PUBLIC_URL');
  if (value === null) return null;
  const { origin, pathname, search, hash } = new URL(value);
  if (search === '' && hash === '') return (origin + pathname).replace(/\/+$/, '');
  throw refuseValue(env, 'PUBLIC_URL', 'must be a URL without a query');
}

function readDrainCron(env: Env): string {
  return readCron(env, 'DRAIN_SCHEDULE_CRON', '* * * * *');
}

function readCleanupCron(env: Env): string {
  return readCron(env, 'CLEANUP_SCHEDULE_CRON', '17 * * * *');
}

function readRefreshCron(env: Env): string {
  return readCron(env, 'REFRESH_SCHEDULE_CRON', '7 * * * *');
}

function readMetricsToken(env: Env): string | null {
  const token = read(env, 'METRICS_TOKEN');
  if (token !== null && token.length < METRICS_TOKEN_LENGTH_MIN)
    throw misconfigured('METRICS_TOKEN', `must be at least ${METRICS_TOKEN_LENGTH_MIN} characters.`);
  return token;
}

function readSessionSigning(env: Env): Config['sessionSigning'] {
  const names = ['SESSION_SIGNING_KEY', 'SESSION_SIGNING_KEY_PREVIOUS'] as const;
  for (const name of names) {
    const bytes = new TextEncoder().encode(read(env, name) ?? '').length;
    if (bytes > 0 && bytes < SIGNING_KEY_BYTES_MIN)
      throw misconfigured(name, `must be at least ${SIGNING_KEY_BYTES_MIN} bytes; it is ${bytes}.`);
  }
  const [key, previousKey] = [read(env, names[0]), read(env, names[1])];
  if (key === null && previousKey !== null)
    throw misconfigured(names[1], 'is set, and SESSION_SIGNING_KEY is not: it needs both.');
  if (key !== null && key === previousKey)
    throw misconfigured(
      names[1],
      'is the same as SESSION_SIGNING_KEY; leave it out, or set what came before.',
    );
  return key === null ? null : { key, previousKey };
}

function readLogLevel(env: Env): LogLevel {
  const value = read(env, 'LOG_LEVEL')?.toLowerCase() ?? 'info';
  const level = LOG_LEVELS.find((known) => known === value);
  if (level !== undefined) return level;
  throw refuseValue(env, 'LOG_LEVEL', `must be one of ${LOG_LEVELS.join(', ')}`);
}

function readOrigins(env: Env): readonly string[] | '*' {
  const list = read(env, 'CORS_ALLOWED_ORIGINS');
  if (list === null) return [];
  if (list === '*') return '*';
  return list.split(',').map((part) => {
    const origin = part.trim();
    if (URL.parse(origin)?.origin === origin && origin !== 'null') return origin;
    throw refuseValue(
      env,
      'CORS_ALLOWED_ORIGINS',
      'must be * or origins like https://play.example, with commas between',
    );
  });
}

function freeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) freeze(part);
  return Object.freeze(value);
}
