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
          'names this machine, which these functions reach over HTTP only: set DATABASE_HTTP_URL to where it answers SQL.',
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
    'cannot be reached by these functions, which speak HTTP: set UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN instead.',
  );
}
