import { AppError } from '../world/errors.ts';
import { ID_PATTERN, ID_RULE } from '../world/schemas.ts';

/** Every variable that worldkeep reads. No message shows the value of a secret. */
export const CONFIG_VARIABLES = {
  HOST: 'plain',
  PORT: 'plain',
  SHUTDOWN_TIMEOUT_MS: 'plain',
  TRUSTED_PROXIES: 'plain',
  TRUSTED_PROXY_HEADER: 'plain',
  DATABASE_URL: 'secret',
  DATABASE_POOL_SIZE: 'plain',
  DATABASE_HTTP_URL: 'plain',
  DATABASE_TIMEOUT_MS: 'plain',
  REDIS_URL: 'secret',
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
  PUBLIC_URL: 'plain',
  DRAIN_SCHEDULE_CRON: 'plain',
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
  BODY_TIMEOUT_MS: 'plain',
  API_KEY_CACHE_SECONDS: 'plain',
  READYZ_TIMEOUT_MS: 'plain',
  HEALTH_CACHE_SECONDS: 'plain',
  RATE_LIMIT_REQUESTS_PER_MINUTE: 'plain',
  RATE_LIMIT_ALONE_REQUESTS_PER_MINUTE: 'plain',
  RATE_LIMIT_UNKNOWN_CREDENTIALS_PER_MINUTE: 'plain',
  RATE_LIMIT_UPDATES_PER_MINUTE: 'plain',
  RATE_LIMIT_CHAT_PER_MINUTE: 'plain',
  ASSET_DIR: 'plain',
  ASSET_S3_ENDPOINT: 'plain',
  ASSET_S3_BUCKET: 'plain',
  ASSET_S3_REGION: 'plain',
  ASSET_S3_ACCESS_KEY_ID: 'secret',
  ASSET_S3_SECRET_ACCESS_KEY: 'secret',
  ASSET_BYTES_MAX: 'plain',
  ASSET_FILE_BYTES_MAX: 'plain',
  ASSET_QUOTA_BYTES: 'plain',
  CLEANUP_SCHEDULE_CRON: 'plain',
  REFRESH_SCHEDULE_CRON: 'plain',
  SEAL_SCHEDULE_CRON: 'plain',
  BACKLOG_BYTES_MAX: 'plain',
  BACKLOG_ENTRIES_MAX: 'plain',
  BACKLOG_AGE_SECONDS_MAX: 'plain',
  DEAD_LETTER_RETENTION_DAYS: 'plain',
  EVENT_RETENTION_DAYS: 'plain',
  CHAT_DELETED_RETENTION_DAYS: 'plain',
  SPACE_DELETED_RETENTION_DAYS: 'plain',
  INCIDENT_RETENTION_DAYS: 'plain',
  SESSION_RETENTION_DAYS: 'plain',
  STREAM_HEARTBEAT_SECONDS: 'plain',
  LOG_LEVEL: 'plain',
  QUERY_LOGGING_ENABLED: 'plain',
} as const satisfies Record<string, 'secret' | 'plain'>;

export type ConfigVariable = keyof typeof CONFIG_VARIABLES;
export type Env = Readonly<Record<string, string | undefined>>;

const VALUE_SHOWN_LENGTH_MAX = 40;

/** The least and greatest number of each field; Sunday is 0 and 7. */
const CRON_FIELDS = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const;

export function readCron(env: Env, name: ConfigVariable, byDefault: string): string {
  const fields = (read(env, name) ?? byDefault).split(/\s+/);
  if (fields.length === CRON_FIELDS.length && CRON_FIELDS.every((range, i) => isCronField(fields[i], range)))
    return fields.join(' ');
  throw refuseValue(env, name, 'must be a cron schedule of five fields in numbers');
}

/** A list of `*`, numbers and ranges, each with or without a step. */
function isCronField(field = '', [min, max]: readonly [number, number]): boolean {
  return field.split(',').every((part) => {
    const match = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/0*([1-9]\d?))?$/.exec(part);
    if (match === null) return false;
    const [from, to] = [Number(match[1] ?? min), Number(match[2] ?? match[1] ?? max)];
    return min <= from && from <= to && to <= max;
  });
}

export function read(env: Env, name: ConfigVariable): string | null {
  const value = env[name]?.trim();
  return value === undefined || value === '' ? null : value;
}

export function readFlag(env: Env, name: ConfigVariable, byDefault: boolean): boolean {
  const value = read(env, name)?.toLowerCase();
  if (value === undefined) return byDefault;
  if (['true', '1', 'on', 'yes'].includes(value)) return true;
  if (['false', '0', 'off', 'no'].includes(value)) return false;
  throw refuseValue(env, name, 'must be true or false');
}

export function readInteger(
  env: Env,
  name: ConfigVariable,
  byDefault: number,
  min: number,
  max: number,
): number {
  const value = read(env, name);
  if (value === null) return byDefault;
  const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw refuseValue(env, name, `must be a whole number from ${min} to ${max}`);
}

export function readId(env: Env, name: ConfigVariable, byDefault: string): string {
  const value = read(env, name) ?? byDefault;
  if (ID_PATTERN.test(value)) return value;
  throw refuseValue(env, name, ID_RULE);
}

/** The address of a service. Requests to it carry a password, so plain HTTP is allowed only for this machine. */
export function readHttpUrl(env: Env, name: ConfigVariable): string | null {
  const value = read(env, name);
  if (value === null) return null;
  const url = URL.parse(value);
  if (url !== null && url.username === '' && url.password === '') {
    if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return value;
  }
  throw misconfigured(
    name,
    'must be an https:// URL without a password. On localhost, http:// is also allowed.',
  );
}

/** Whether a host name means this machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

export function refuseValue(env: Env, name: ConfigVariable, sentence: string): AppError {
  const value = (env[name] ?? '').slice(0, VALUE_SHOWN_LENGTH_MAX);
  return misconfigured(
    name,
    CONFIG_VARIABLES[name] === 'secret' ? `${sentence}.` : `${sentence}, not ${JSON.stringify(value)}.`,
  );
}

/** An error in the configuration. The message begins with the variable's name. */
export function misconfigured(name: ConfigVariable, sentence: string): AppError {
  return new AppError('misconfigured', `${name} ${sentence}`);
}
