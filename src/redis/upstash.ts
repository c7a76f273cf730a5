import { Redis } from '@upstash/redis/cloudflare';
import { readSystemCode } from '../world/errors.ts';
import type { RedisClient, RedisCommand, RedisReply } from './client.ts';
import { NotSent } from './not-sent.ts';
import { createRedisClient, type RedisOutcome } from './transport.ts';

export interface UpstashOptions {
  /** The REST address, `https://….upstash.io`. */
  url: string;
  token: string;
  /** Milliseconds after which a command is given up. */
  timeoutMs: number;
  /** Headers of every request, in addition to the client's own. */
  readHeaders?: (() => Record<string, string>) | undefined;
}

/** Redis through Upstash's REST interface: no connection outlives a request, so it serves on Workers. */
export function openUpstash(options: UpstashOptions): RedisClient {
  const upstash = new PlainUpstash(options);
  return createRedisClient({
    variables: { address: 'UPSTASH_REDIS_REST_URL', password: 'UPSTASH_REDIS_REST_TOKEN' },
    send: (commands) => upstash.sendAll(commands),
    prepare: ({ source }) => source,
    close: () => Promise.resolve(),
  });
}

/**
 * The Upstash client as everything here relies on it:
 * - no retry: a repeat after a lost reply runs a script twice;
 * - the signal is a function: with a fixed one, a command that timed out resolves to null as if it had been answered;
 * - no automatic pipelines and no automatic JSON: commands go as written, and an id `"123"` stays text.
 * - no base64 of replies: everything here is text, and need not be encoded and decoded once more.
 */
class PlainUpstash extends Redis {
  readonly #readHeaders: UpstashOptions['readHeaders'];

  constructor({ url, token, timeoutMs, readHeaders }: UpstashOptions) {
    super({
      url,
      token,
      retry: { retries: 0 },
      signal: () => AbortSignal.timeout(timeoutMs),
      enableAutoPipelining: false,
      automaticDeserialization: false,
      responseEncoding: false,
      enableTelemetry: false,
    });
    this.#readHeaders = readHeaders;
  }

  /** As a list even where it is one: in a list each command has its own result or error, free of the client's words. */
  async sendAll(commands: readonly RedisCommand[]): Promise<RedisOutcome[]> {
    const request = { path: ['pipeline'], body: commands, headers: this.#readHeaders?.() ?? {} };
    const answer: unknown = await this.client.request(request).catch((error: unknown) => {
      throw UNSENT.has(readSystemCode(error) ?? '') ? new NotSent(error) : error;
    });
    if (!Array.isArray(answer)) throw new TypeError('Upstash answered a pipeline with something else');
    return answer.map(readOutcome);
  }
}

/** Errors of a connection that was never made. */
const UNSENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

function readOutcome(item: { result?: RedisReply; error?: string } | null): RedisOutcome {
  if (typeof item?.error === 'string') return { refusal: item.error };
  if (item?.result === undefined) throw new TypeError('Upstash answered a command with nothing');
  return { reply: item.result };
}
