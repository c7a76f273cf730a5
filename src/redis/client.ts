import { Redis } from '@upstash/redis/cloudflare';
import { AppError } from '../world/errors.ts';

export interface UpstashOptions {
  /** The REST address, `https://….upstash.io`. */
  url: string;
  token: string;
  /** Milliseconds after which a command is given up. */
  timeoutMs: number;
}

/**
 * The Upstash client as everything here relies on it:
 * - no retry: a repeat after a lost reply runs a script twice;
 * - the signal is a function: with a fixed one, a command that timed out resolves to null as if it had been answered;
 * - no automatic pipelines and no automatic JSON: commands go as written, and an id `"123"` stays text.
 */
export function openUpstash({ url, token, timeoutMs }: UpstashOptions): Redis {
  return new Redis({
    url,
    token,
    retry: { retries: 0 },
    signal: () => AbortSignal.timeout(timeoutMs),
    enableAutoPipelining: false,
    automaticDeserialization: false,
    enableTelemetry: false,
  });
}

/** Resolves when Redis answers. @throws store_unavailable without the client's own words, which hold the command. */
export async function pingRedis(redis: Pick<Redis, 'ping'>): Promise<void> {
  let answer: string;
  try {
    answer = await redis.ping();
  } catch (cause) {
    throw new AppError('store_unavailable', 'Redis does not answer.', { cause });
  }
  if (answer !== 'PONG') throw new AppError('store_unavailable', 'Redis does not answer as Redis.');
}
