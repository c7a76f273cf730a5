import { AppError } from './world/errors.ts';

/** Every variable that is read, and whether its value is a secret (which no message ever shows). */
export const CONFIG_VARIABLES = {
  HOST: 'plain',
  PORT: 'plain',
  SHUTDOWN_TIMEOUT_MS: 'plain',
  DATABASE_URL: 'secret',
  DATABASE_POOL_SIZE: 'plain',
  DATABASE_HTTP_URL: 'plain',
  DATABASE_TIMEOUT_MS: 'plain',
  REDIS_HOST: 'plain',
  REDIS_PORT: 'plain',
  REDIS_PASSWORD: 'secret',
  UPSTASH_REDIS_REST_URL: 'plain',
  UPSTASH_REDIS_REST_TOKEN: 'secret',
  REDIS_TIMEOUT_MS: 'plain',
  QSTASH_URL: 'plain',
  QSTASH_TOKEN: 'secret',
  QSTASH_CURRENT_SIGNING_KEY: 'secret',
  QSTASH_NEXT_SIGNING_KEY: 'secret',
  PERSISTENCE_ENABLED: 'plain',
  CACHE_ENABLED: 'plain',
  BATCH_PROCESSING_ENABLED: 'plain',
  ANALYTICS_ENABLED: 'plain',
  MEMORY_FALLBACK_ENABLED: 'plain',
  AUDIT_TRANSFORMS: 'plain',
  DEFAULT_TENANT_ID: 'plain',
  DEFAULT_SPACE_ID: 'plain',
  IDEMPOTENCY_TTL_SECONDS: 'plain',
  METRICS_TOKEN: 'secret',
  SESSION_SIGNING_KEY: 'secret',
  SESSION_SIGNING_KEY_PREVIOUS: 'secret',
  CORS_ALLOWED_ORIGINS: 'plain',
  JSON_BODY_BYTES_MAX: 'plain',
  STATE_BODY_BYTES_MAX: 'plain',
  API_KEY_CACHE_SECONDS: 'plain',
  READYZ_TIMEOUT_MS: 'plain',
  HEALTH_CACHE_SECONDS: 'plain',
  RATE_LIMIT_REQUESTS_PER_MINUTE: 'plain',
  RATE_LIMIT_ALONE_REQUESTS_PER_MINUTE: 'plain',
  RATE_LIMIT_UNKNOWN_CREDENTIALS_PER_MINUTE: 'plain',
  LOG_LEVEL: 'plain',
} as const satisfies Record<string, 'secret' | 'plain'>;

export type ConfigVariable = keyof typeof CONFIG_VARIABLES;
export type Env = Readonly<Record<string, string | undefined>>;

export interface DatabaseConfig {
  /** `postgres://…`, with the password. */
  url: string;
  /** Connections kept over TCP (Node); HTTP keeps none. */
  poolSize: number;
  /** Where Neon's `/sql` is, if not where the URL's host says. */
  httpUrl: string | null;
  timeoutMs: number;
}

export type RedisConfig =
  | { kind: 'upstash'; url: string; token: string; timeoutMs: number }
  | { kind: 'tcp'; host: string; port: number; password: string | null; timeoutMs: number };

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
  database: DatabaseConfig | null;
  redis: RedisConfig | null;
  qstash: QstashConfig | null;
  persistenceEnabled: boolean;
  cacheEnabled: boolean;
  batchProcessingEnabled: boolean;
  analyticsEnabled: boolean;
  memoryFallbackEnabled: boolean;
  auditTransforms: boolean;
  defaultTenantId: string;
  defaultSpaceId: string;
  metricsToken: string | null;
  /** What session tokens are signed with, and what they were until lately; null: none is minted or known. */
  sessionSigning: { key: string; previousKey: string | null } | null;
  /** Origins whose pages may call the API from a browser; `'*'` is any; none by default. */
  corsAllowedOrigins: readonly string[] | '*';
  logLevel: LogLevel;
  limits: {
    idempotencyTtlSeconds: number;
    jsonBodyBytesMax: number;
    stateBodyBytesMax: number;
    apiKeyCacheSeconds: number;
    readyzTimeoutMs: number;
    healthCacheSeconds: number;
    /** Of each API key and each session, over the whole deployment; 0: not counted. */
    rateLimitRequestsPerMinute: number;
    /** The same while a process counts alone, where that is less. */
    rateLimitAloneRequestsPerMinute: number;
    /** Of each address; 0: not counted. */
    rateLimitUnknownCredentialsPerMinute: number;
  };
}

/** The least that is logged. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const MIB = 1024 * 1024;
const VALUE_SHOWN_LENGTH_MAX = 40;
const METRICS_TOKEN_LENGTH_MIN = 16;
/** Of HS256: a shorter key is weaker than the signature. */
const SIGNING_KEY_BYTES_MIN = 32;
const ID = /^[A-Za-z0-9._:-]{1,128}$/;

/**
 * Reads the configuration out of an environment. An empty value is as good as none.
 * @throws misconfigured one sentence that names the variable; the value of a secret is never in it.
 */
export function parseConfig(env: Env): Config {
  const redis = readRedis(env);
  const config: Config = {
    server: readServer(env),
    database: readDatabase(env),
    redis,
    qstash: readQstash(env),
    persistenceEnabled: readFlag(env, 'PERSISTENCE_ENABLED', true),
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
    limits: {
      idempotencyTtlSeconds: readWhole(env, 'IDEMPOTENCY_TTL_SECONDS', 3_600, 1, 86_400),
      jsonBodyBytesMax: readWhole(env, 'JSON_BODY_BYTES_MAX', MIB, 1_024, 32 * MIB),
      stateBodyBytesMax: readWhole(env, 'STATE_BODY_BYTES_MAX', 32 * MIB, 1_024, 100 * MIB),
      apiKeyCacheSeconds: readWhole(env, 'API_KEY_CACHE_SECONDS', 5, 0, 300),
      readyzTimeoutMs: readWhole(env, 'READYZ_TIMEOUT_MS', 1_000, 50, 10_000),
      healthCacheSeconds: readWhole(env, 'HEALTH_CACHE_SECONDS', 3, 0, 60),
      rateLimitRequestsPerMinute: readWhole(env, 'RATE_LIMIT_REQUESTS_PER_MINUTE', 12_000, 0, 1_000_000),
      rateLimitAloneRequestsPerMinute: readWhole(
        env,
        'RATE_LIMIT_ALONE_REQUESTS_PER_MINUTE',
        6_000,
        1,
        1_000_000,
      ),
      rateLimitUnknownCredentialsPerMinute: readWhole(
        env,
        'RATE_LIMIT_UNKNOWN_CREDENTIALS_PER_MINUTE',
        600,
        0,
        1_000_000,
      ),
    },
  };
  refuseContradictions(config);
  return freeze(config);
}

/** The mission's `Config`: the same, by the name it is known by. */
export const Config = Object.freeze({ parse: parseConfig, variables: CONFIG_VARIABLES });

function refuseContradictions(config: Config): void {
  if (config.persistenceEnabled && config.database === null)
    throw misconfigured(
      'DATABASE_URL',
      'must be set, because PERSISTENCE_ENABLED is on (its default); set it, or turn persistence off.',
    );
  if (config.redis !== null) return;
  for (const [on, name] of [
    [!config.persistenceEnabled, 'PERSISTENCE_ENABLED'],
    [config.cacheEnabled, 'CACHE_ENABLED'],
    [config.batchProcessingEnabled, 'BATCH_PROCESSING_ENABLED'],
  ] as const)
    if (on)
      throw misconfigured(
        name,
        `is ${name === 'PERSISTENCE_ENABLED' ? 'off' : 'on'}, which needs a Redis: set UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN, or REDIS_HOST.`,
      );
}

function readServer(env: Env): ServerConfig {
  const host = read(env, 'HOST') ?? '127.0.0.1';
  if (!/^[\w.:-]+$/.test(host)) throw refuseValue(env, 'HOST', 'must be a host name or an address');
  return {
    host,
    port: readWhole(env, 'PORT', 8_080, 0, 65_535),
    shutdownTimeoutMs: readWhole(env, 'SHUTDOWN_TIMEOUT_MS', 10_000, 0, 600_000),
  };
}

function readDatabase(env: Env): DatabaseConfig | null {
  const url = read(env, 'DATABASE_URL');
  const httpUrl = readHttpUrl(env, 'DATABASE_HTTP_URL');
  const poolSize = readWhole(env, 'DATABASE_POOL_SIZE', 20, 1, 1_000);
  const timeoutMs = readWhole(env, 'DATABASE_TIMEOUT_MS', 15_000, 100, 120_000);
  if (url === null) {
    if (httpUrl === null) return null;
    throw misconfigured('DATABASE_HTTP_URL', 'is set, and DATABASE_URL is not: it needs both.');
  }
  const parsed = URL.parse(url);
  const isPostgres = parsed?.protocol === 'postgres:' || parsed?.protocol === 'postgresql:';
  if (!isPostgres || parsed.hostname === '' || parsed.pathname.length < 2)
    throw misconfigured('DATABASE_URL', 'must be a URL like postgresql://user:password@host:5432/database.');
  return { url, poolSize, httpUrl, timeoutMs };
}

function readRedis(env: Env): RedisConfig | null {
  const host = read(env, 'REDIS_HOST');
  const port = readWhole(env, 'REDIS_PORT', 6_379, 1, 65_535);
  const password = read(env, 'REDIS_PASSWORD');
  const url = readHttpUrl(env, 'UPSTASH_REDIS_REST_URL');
  const token = read(env, 'UPSTASH_REDIS_REST_TOKEN');
  const timeoutMs = readWhole(env, 'REDIS_TIMEOUT_MS', 2_000, 50, 30_000);
  if (host !== null && (url !== null || token !== null))
    throw misconfigured(
      'REDIS_HOST',
      'and UPSTASH_REDIS_REST_URL name two Redis databases; leave one of them out.',
    );
  if (url !== null && token === null)
    throw misconfigured('UPSTASH_REDIS_REST_URL', 'is set, and UPSTASH_REDIS_REST_TOKEN is not.');
  if (url === null && token !== null)
    throw misconfigured('UPSTASH_REDIS_REST_TOKEN', 'is set, and UPSTASH_REDIS_REST_URL is not.');
  if (host === null && password !== null)
    throw misconfigured('REDIS_PASSWORD', 'is set, and REDIS_HOST is not.');
  if (host !== null) return { kind: 'tcp', host, port, password, timeoutMs };
  return url === null || token === null ? null : { kind: 'upstash', url, token, timeoutMs };
}

function readQstash(env: Env): QstashConfig | null {
  const url = readHttpUrl(env, 'QSTASH_URL') ?? 'https://qstash.upstash.io';
  const names = ['QSTASH_TOKEN', 'QSTASH_CURRENT_SIGNING_KEY', 'QSTASH_NEXT_SIGNING_KEY'] as const;
  const [token, currentSigningKey, nextSigningKey] = names.map((name) => read(env, name));
  if (token && currentSigningKey && nextSigningKey) return { url, token, currentSigningKey, nextSigningKey };
  const given = names.find((name) => read(env, name) !== null);
  if (given === undefined) return null;
  const absent = names.filter((name) => read(env, name) === null);
  throw misconfigured(given, `is set, and ${absent.join(' and ')} ${absent.length > 1 ? 'are' : 'is'} not.`);
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

function read(env: Env, name: ConfigVariable): string | null {
  const value = env[name]?.trim();
  return value === undefined || value === '' ? null : value;
}

function readFlag(env: Env, name: ConfigVariable, byDefault: boolean): boolean {
  const value = read(env, name)?.toLowerCase();
  if (value === undefined) return byDefault;
  if (['true', '1', 'on', 'yes'].includes(value)) return true;
  if (['false', '0', 'off', 'no'].includes(value)) return false;
  throw refuseValue(env, name, 'must be true or false');
}

function readWhole(env: Env, name: ConfigVariable, byDefault: number, min: number, max: number): number {
  const value = read(env, name);
  if (value === null) return byDefault;
  const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw refuseValue(env, name, `must be a whole number from ${min} to ${max}`);
}

function readId(env: Env, name: ConfigVariable, byDefault: string): string {
  const value = read(env, name) ?? byDefault;
  if (ID.test(value)) return value;
  throw refuseValue(env, name, 'must be 1 to 128 characters of A-Z a-z 0-9 . _ : -');
}

/** A service's address. What is sent there holds a password, so in the clear only to this machine itself. */
function readHttpUrl(env: Env, name: ConfigVariable): string | null {
  const value = read(env, name);
  if (value === null) return null;
  const url = URL.parse(value);
  if (url !== null && url.username === '' && url.password === '') {
    if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return value;
  }
  throw misconfigured(name, 'must be an https:// URL without a password in it (or http:// on localhost).');
}

/** Whether a host name is this machine itself. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

function refuseValue(env: Env, name: ConfigVariable, sentence: string): AppError {
  const value = (env[name] ?? '').slice(0, VALUE_SHOWN_LENGTH_MAX);
  return misconfigured(
    name,
    CONFIG_VARIABLES[name] === 'secret' ? `${sentence}.` : `${sentence}, not ${JSON.stringify(value)}.`,
  );
}

/** A configuration that cannot be served: one sentence, that begins with the variable's name. */
export function misconfigured(name: ConfigVariable, sentence: string): AppError {
  return new AppError('misconfigured', `${name} ${sentence}`);
}

function freeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) freeze(part);
  return Object.freeze(value);
}
