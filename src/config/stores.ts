import { REDIS_PORT, REDIS_URL_FORM, type RedisAddress, readRedisUrl } from '../helpers/redis-url.ts';
import { type ConfigVariable, type Env, misconfigured, read, readHttpUrl, readInteger } from './values.ts';

export interface DatabaseConfig {
  /** `postgres://…`, with the password. */
  url: string;
  /** Open connections over TCP (Node). HTTP keeps none open. */
  poolSize: number;
  /** The address of Neon's `/sql`; null: the host of `url`. */
  httpUrl: string | null;
  timeoutMs: number;
}

export type RedisConfig =
  | { kind: 'upstash'; url: string; token: string; timeoutMs: number }
  | (RedisAddress & {
      kind: 'tcp';
      /** The variables that configure it, for error messages. */
      variables: { address: ConfigVariable; password: ConfigVariable };
      timeoutMs: number;
    });

/** @throws misconfigured */
export function readDatabase(env: Env): DatabaseConfig | null {
  const url = read(env, 'DATABASE_URL');
  const httpUrl = readHttpUrl(env, 'DATABASE_HTTP_URL');
  const poolSize = readInteger(env, 'DATABASE_POOL_SIZE', 20, 1, 1_000);
  const timeoutMs = readInteger(env, 'DATABASE_TIMEOUT_MS', 15_000, 100, 120_000);
  if (url === null) {
    if (httpUrl === null) return null;
    throw misconfigured('DATABASE_HTTP_URL', 'needs DATABASE_URL. Set DATABASE_URL too.');
  }
  const parsed = URL.parse(url);
  const isPostgres = parsed?.protocol === 'postgres:' || parsed?.protocol === 'postgresql:';
  if (!isPostgres || parsed.hostname === '' || parsed.pathname.length < 2)
    throw misconfigured('DATABASE_URL', 'must be a URL like postgresql://user:password@host:5432/database.');
  return { url, poolSize, httpUrl, timeoutMs };
}

/** @throws misconfigured */
export function readRedis(env: Env): RedisConfig | null {
  const host = read(env, 'REDIS_HOST');
  const password = read(env, 'REDIS_PASSWORD');
  const redisUrl = read(env, 'REDIS_URL');
  const url = readHttpUrl(env, 'UPSTASH_REDIS_REST_URL');
  const token = read(env, 'UPSTASH_REDIS_REST_TOKEN');
  const port = readInteger(env, 'REDIS_PORT', REDIS_PORT, 1, 65_535);
  const timeoutMs = readInteger(env, 'REDIS_TIMEOUT_MS', 2_000, 50, 30_000);
  for (const name of ['REDIS_HOST', 'REDIS_PORT', 'REDIS_PASSWORD'] as const)
    if (redisUrl !== null && read(env, name) !== null)
      throw misconfigured(
        name,
        'and REDIS_URL are both set. Remove one: REDIS_URL can contain host, port and password.',
      );
  const tcpName = redisUrl === null ? 'REDIS_HOST' : 'REDIS_URL';
  if ((host ?? redisUrl) !== null && (url ?? token) !== null)
    throw misconfigured(
      tcpName,
      'and UPSTASH_REDIS_REST_URL are both set, but worldkeep uses one Redis. Remove one.',
    );
  if (url !== null && token === null)
    throw misconfigured(
      'UPSTASH_REDIS_REST_URL',
      'needs UPSTASH_REDIS_REST_TOKEN. Set UPSTASH_REDIS_REST_TOKEN too.',
    );
  if (url === null && token !== null)
    throw misconfigured(
      'UPSTASH_REDIS_REST_TOKEN',
      'needs UPSTASH_REDIS_REST_URL. Set UPSTASH_REDIS_REST_URL too.',
    );
  if (host === null && password !== null)
    throw misconfigured('REDIS_PASSWORD', 'needs REDIS_HOST. Set REDIS_HOST too.');
  if (redisUrl !== null) {
    const address = readRedisUrl(redisUrl);
    if (address === null) throw misconfigured('REDIS_URL', `${REDIS_URL_FORM}.`);
    const variables = { address: 'REDIS_URL', password: 'REDIS_URL' } as const;
    return { kind: 'tcp', ...address, variables, timeoutMs };
  }
  if (host !== null) {
    // The message does not show the value: it may be a URL with a password.
    if (!/^[\w.:-]+$/.test(host))
      throw misconfigured(
        'REDIS_HOST',
        'must be a host name or an IP address. If you have a URL, set REDIS_URL instead.',
      );
    const variables = { address: 'REDIS_HOST', password: 'REDIS_PASSWORD' } as const;
    return {
      kind: 'tcp',
      host,
      port,
      username: null,
      password,
      database: 0,
      tls: false,
      variables,
      timeoutMs,
    };
  }
  return url === null || token === null ? null : { kind: 'upstash', url, token, timeoutMs };
}
