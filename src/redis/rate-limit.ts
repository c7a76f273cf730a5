import { Ratelimit } from '@upstash/ratelimit';
import type { Redis } from '@upstash/redis';
import type { RateLimit, RateLimitStore } from '../access/rate-limiter.ts';
import type { RedisClient, RedisScript } from './client.ts';
import { KEY_PREFIX, rateLimitName } from './keys.ts';

/** Buckets of tokens in Redis, one for the whole deployment. A `take` is one command, over whichever way to Redis. */
export function createRateLimitStore(client: RedisClient): RateLimitStore {
  const redis = adapt(client);
  // As many as there are different limits, which code and configuration name.
  const limiters = new Map<string, Ratelimit>();

  function limiterOf(limit: RateLimit): Ratelimit {
    const name = `${limit.requests}/${limit.windowSeconds}`;
    let limiter = limiters.get(name);
    if (limiter === undefined) {
      const { tokens, interval } = readRefill(limit);
      limiter = new Ratelimit({
        redis,
        prefix: KEY_PREFIX,
        limiter: Ratelimit.tokenBucket(tokens, interval, limit.requests),
        // Its own time-out lets everybody through, and its own memory of the blocked has no bound.
        timeout: 0,
        ephemeralCache: false,
        analytics: false,
      });
      limiters.set(name, limiter);
    }
    return limiter;
  }

  return {
    async take(subject, limit, count = 1) {
      const taken = await limiterOf(limit).limit(rateLimitName(subject, limit), { rate: count });
      return { allowed: taken.success, remaining: taken.remaining, resetAtMs: taken.reset };
    },
  };
}

/** Once a second where that is a whole token at least, else as often as a token falls due: after a reset there is one. */
function readRefill({ requests, windowSeconds }: RateLimit): { tokens: number; interval: `${number} ms` } {
  if (requests >= windowSeconds) return { tokens: requests / windowSeconds, interval: '1000 ms' };
  return { tokens: 1, interval: `${Math.ceil((windowSeconds * 1_000) / requests)} ms` };
}

/** The library asks for two methods of the Upstash client. `eval` here runs by SHA first, so its own try is passed over. */
function adapt(client: RedisClient): Redis {
  const scripts = new Map<string, RedisScript>();
  const adapted = {
    evalsha: async () => {
      throw new Error('NOSCRIPT');
    },
    eval(source: string, keys: string[], args: unknown[]) {
      const script = scripts.get(source) ?? { source };
      scripts.set(source, script);
      return client.eval(script, keys, args.map(String));
    },
  };
  return adapted as unknown as Redis;
}
