import { readTrustedProxies } from '../src/config/proxies.ts';
import type { Env } from '../src/config.ts';
import { openNeon } from '../src/postgres/neon.ts';
import { openPg } from '../src/postgres/pg.ts';
import { openTcpRedis } from '../src/redis/tcp.ts';
import { openTcpLive } from '../src/redis/tcp-live.ts';
import { openUpstash } from '../src/redis/upstash.ts';
import { openUpstashLive } from '../src/redis/upstash-live.ts';
import { type Composition, compose } from './compose.ts';
import { readClientAddress } from './http/client-address.ts';
import type { NodeBindings } from './node-server.ts';

/**
 * The functions on a server. Postgres: over TCP, or over HTTP with DATABASE_HTTP_URL. Redis: over TCP at REDIS_URL or REDIS_HOST, or
 * over HTTP at UPSTASH_REDIS_REST_URL. @throws misconfigured
 */
export function composeNode(env: Env): Composition {
  const trustedProxies = readTrustedProxies(env);
  return compose(env, {
    openPostgres: ({ url, httpUrl, poolSize, timeoutMs, readHeaders }) =>
      httpUrl === null
        ? openPg({ databaseUrl: url, poolSizeMax: poolSize, timeoutMs })
        : openNeon({ databaseUrl: url, fetchEndpoint: httpUrl, timeoutMs, readHeaders }),
    openRedis: (redis) => (redis.kind === 'tcp' ? openTcpRedis(redis) : openUpstash(redis)),
    openLive: (redis) => (redis.kind === 'tcp' ? openTcpLive(redis) : openUpstashLive(redis)),
    endsStreams: true,
    readAddress: (c) =>
      readClientAddress(
        (c.env as NodeBindings).remoteAddress,
        (header) => c.req.header(header),
        trustedProxies,
      ),
    cut: (c) => (c.env as NodeBindings).cut(),
  });
}
