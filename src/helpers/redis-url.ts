/** The address and the credentials of a Redis over TCP. */
export interface RedisAddress {
  host: string;
  port: number;
  username: string | null;
  password: string | null;
  /** The number of its database; 0 is the first. */
  database: number;
  /** Whether to connect with TLS. Node must trust the server's certificate. */
  tls: boolean;
}

export const REDIS_PORT = 6_379;
export const REDIS_URL_FORM =
  'must be a URL like rediss://user:password@host:6379/0, without parameters (redis:// if Redis has no TLS)';

/** @returns null for text that is not a Redis URL. */
export function readRedisUrl(text: string): RedisAddress | null {
  const url = URL.parse(text);
  if (url === null || !['redis:', 'rediss:'].includes(url.protocol) || url.hostname === '') return null;
  const [, database = '0'] = /^\/?(\d{0,9})$/.exec(url.pathname) ?? [];
  if (url.search !== '' || url.hash !== '' || !/^\/?\d{0,9}$/.test(url.pathname)) return null;
  try {
    return {
      host: url.hostname.replace(/^\[(.+)\]$/, '$1'),
      port: url.port === '' ? REDIS_PORT : Number(url.port),
      username: decodeURIComponent(url.username) || null,
      password: decodeURIComponent(url.password) || null,
      database: Number(database),
      tls: url.protocol === 'rediss:',
    };
  } catch {
    // A percent sign does not begin a valid escape.
    return null;
  }
}
