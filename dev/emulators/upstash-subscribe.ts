import type { ServerResponse } from 'node:http';
import { Redis, type RedisOptions } from 'ioredis';
import type { EmulatorStream } from './http.ts';

/** Unsent bytes of a subscriber that does not read. Above this it is disconnected. */
const UNSENT_BYTES_MAX = 32 * 1024 * 1024;

type Kind = 'subscribe' | 'psubscribe';

/** The subscribers of one channel or pattern. */
interface Followed {
  responses: Set<ServerResponse>;
  /** Resolves when Redis has said that it will send. */
  begun: Promise<unknown>;
}

/**
 * Answers `/subscribe/<channel>…` and `/psubscribe/<pattern>…` as server-sent events: `data:
 * subscribe,CHANNEL,COUNT`, then `data: message,CHANNEL,PAYLOAD` (`psubscribe,…` and
 * `pmessage,PATTERN,CHANNEL,PAYLOAD`), never base64. A line break in a payload starts a new `data:` line.
 * All subscribers share one Redis connection, so that a message comes once however many follow; when it goes, their answers end.
 */
export class Subscriptions {
  readonly #redisUrl: string;
  readonly #redisOptions: Omit<RedisOptions, 'replyMapping'>;
  #shared: SharedConnection | null = null;

  constructor(redisUrl: string, redisOptions: Omit<RedisOptions, 'replyMapping'>) {
    this.#redisUrl = redisUrl;
    this.#redisOptions = redisOptions;
  }

  stream(kind: Kind, channels: string[], signal: AbortSignal): EmulatorStream {
    return {
      status: 200,
      headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', connection: 'keep-alive' },
      stream: (response) => {
        const shared = this.#connect();
        const end = (): void => {
          shared.leave(response);
          response.destroy();
        };
        signal.addEventListener('abort', end);
        shared.join(kind, channels, response).catch(end);
      },
    };
  }

  close(): void {
    this.#shared?.end();
  }

  #connect(): SharedConnection {
    this.#shared ??= new SharedConnection(
      new Redis(this.#redisUrl, { ...this.#redisOptions, lazyConnect: true, retryStrategy: null }),
      () => {
        this.#shared = null;
      },
    );
    return this.#shared;
  }
}

class SharedConnection {
  readonly #redis: Redis;
  readonly #connected: Promise<void>;
  readonly #followed = { subscribe: new Map<string, Followed>(), psubscribe: new Map<string, Followed>() };
  readonly #onEnd: () => void;
  #hasEnded = false;

  constructor(redis: Redis, onEnd: () => void) {
    this.#redis = redis;
    this.#onEnd = onEnd;
    redis.on('error', () => this.end());
    redis.on('end', () => this.end());
    redis.on('messageBuffer', (channel: Buffer, payload: Buffer) => {
      this.#tell('subscribe', `${channel}`, `message,${channel},${payload}`);
    });
    redis.on('pmessageBuffer', (pattern: string, channel: Buffer, payload: Buffer) => {
      this.#tell('psubscribe', `${pattern}`, `pmessage,${pattern},${channel},${payload}`);
    });
    this.#connected = redis.connect();
    this.#connected.catch(() => this.end());
  }

  async join(kind: Kind, channels: readonly string[], response: ServerResponse): Promise<void> {
    await this.#connected;
    for (const [i, channel] of channels.entries()) {
      if (response.destroyed) return this.leave(response);
      const { responses, begun } = this.#follow(kind, channel);
      responses.add(response);
      await begun;
      write(response, toEvent(`${kind},${channel},${i + 1}`));
    }
  }

  leave(response: ServerResponse): void {
    for (const kind of ['subscribe', 'psubscribe'] as const)
      for (const [channel, { responses }] of this.#followed[kind]) {
        if (!responses.delete(response) || responses.size > 0) continue;
        this.#followed[kind].delete(channel);
        this.#redis[kind === 'subscribe' ? 'unsubscribe' : 'punsubscribe'](channel).catch(() => this.end());
      }
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#onEnd();
    this.#redis.disconnect();
    for (const followed of Object.values(this.#followed))
      for (const { responses } of followed.values()) for (const response of responses) response.destroy();
  }

  /** Commands of one connection run in order, so a channel that was just left can be followed again. */
  #follow(kind: Kind, channel: string): Followed {
    const known = this.#followed[kind].get(channel);
    if (known !== undefined) return known;
    const followed: Followed = { responses: new Set(), begun: this.#redis[kind](channel) };
    this.#followed[kind].set(channel, followed);
    return followed;
  }

  #tell(kind: Kind, channel: string, text: string): void {
    const event = toEvent(text);
    for (const response of this.#followed[kind].get(channel)?.responses ?? [])
      if (!write(response, event)) response.destroy();
  }
}

function toEvent(text: string): Buffer {
  return Buffer.from(`data: ${text.replace(/\r\n|\r|\n/g, '\ndata: ')}\n\n`);
}

/** False if the subscriber is gone or too far behind. */
function write(response: ServerResponse, event: Buffer): boolean {
  if (response.destroyed || response.writableLength > UNSENT_BYTES_MAX) return false;
  response.write(event);
  return true;
}
