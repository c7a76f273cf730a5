import { type Env, isLoopback, misconfigured, type RedisConfig } from '../src/config.ts';
import { openNeon } from '../src/postgres/neon.ts';
import { openUpstash } from '../src/redis/upstash.ts';
import { openUpstashLive } from '../src/redis/upstash-live.ts';
import { type Composition, compose } from './compose.ts';

/** The functions where no connection outlives a request: both stores over HTTP. @throws misconfigured */
export function composeWorker(env: Env): Composition {
  return compose(env, {
    openPostgres({ url, httpUrl, timeoutMs, readHeaders }) {
      if (httpUrl === null && isLoopback(new URL(url).hostname))
        throw misconfigured(
          'DATABASE_URL',
          'is a local address, but these functions can connect only over HTTP. Set DATABASE_HTTP_URL to the database’s HTTP address.',
        );
      return openNeon({ databaseUrl: url, fetchEndpoint: httpUrl ?? undefined, timeoutMs, readHeaders });
    },
    openRedis: (redis) => openUpstash(requireUpstash(redis)),
    openLive: (redis) => openUpstashLive(requireUpstash(redis)),
    // Each ends with its request, and nothing of it may outlive that.
    endsStreams: false,
    // Cloudflare sets it over whatever a caller sends.
    readAddress: (c) => c.req.header('CF-Connecting-IP') ?? null,
    cut: () => undefined,
  });
}

/** @throws misconfigured for a Redis that speaks no HTTP. */
function requireUpstash<Redis extends RedisConfig>(redis: Redis): Redis & { kind: 'upstash' } {
  if (redis.kind === 'upstash') return redis as Redis & { kind: 'upstash' };
  throw misconfigured(
    redis.variables.address,
    'does not work here because these functions use only HTTP. Set UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN instead.',
  );
}
