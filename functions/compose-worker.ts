import { type Env, isLoopback, misconfigured } from '../src/config.ts';
import { openNeon } from '../src/postgres/neon.ts';
import { openUpstash } from '../src/redis/upstash.ts';
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
    openRedis(redis) {
      if (redis.kind === 'upstash') return openUpstash(redis);
      throw misconfigured(
        'REDIS_HOST',
        'cannot be reached by these functions, which speak HTTP: set UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN instead.',
      );
    },
    // Cloudflare sets it over whatever a caller sends.
    readAddress: (c) => c.req.header('CF-Connecting-IP') ?? null,
  });
}
