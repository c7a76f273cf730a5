import type { ServerResponse } from 'node:http';
import { Redis, type RedisOptions } from 'ioredis';
import type { FrontStream } from './http.ts';

/** What a subscriber that does not read may leave unsent before it is cut off. */
const UNSENT_BYTES_MAX = 32 * 1024 * 1024;

/**
 * Answers `/subscribe/<channel>…` and `/psubscribe/<pattern>…` as server-sent events: `data:
 * subscribe,CHANNEL,COUNT`, then `data: message,CHANNEL,PAYLOAD` (`psubscribe,…` and
 * `pmessage,PATTERN,CHANNEL,PAYLOAD`), never base64. A line break in a payload starts a new `data:` line.
 * Each subscriber has a Redis connection, closed when it goes; when Redis goes, the answer ends.
 */
export function streamSubscription(
  redisUrl: string,
  redisOptions: Omit<RedisOptions, 'replyMapping'>,
  kind: 'subscribe' | 'psubscribe',
  channels: string[],
  signal: AbortSignal,
): FrontStream {
  return {
    status: 200,
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', connection: 'keep-alive' },
    stream(response) {
      const redis = new Redis(redisUrl, { ...redisOptions, lazyConnect: true, retryStrategy: null });
      const end = (): void => {
        redis.disconnect();
        response.destroy();
      };
      redis.on('error', end);
      redis.on('end', end);
      signal.addEventListener('abort', end);
      redis.on('messageBuffer', (channel: Buffer, payload: Buffer) => {
        if (!writeEvent(response, `message,${channel},${payload}`)) end();
      });
      redis.on('pmessageBuffer', (pattern: string, channel: Buffer, payload: Buffer) => {
        if (!writeEvent(response, `pmessage,${pattern},${channel},${payload}`)) end();
      });
      subscribe(redis, kind, channels, response).catch(end);
    },
  };
}

async function subscribe(
  redis: Redis,
  kind: 'subscribe' | 'psubscribe',
  channels: string[],
  response: ServerResponse,
): Promise<void> {
  await redis.connect();
  for (const channel of channels) {
    const count = await redis[kind](channel);
    writeEvent(response, `${kind},${channel},${String(count)}`);
  }
}

/** False if the subscriber is gone or too far behind. */
function writeEvent(response: ServerResponse, event: string): boolean {
  if (response.destroyed || response.writableLength > UNSENT_BYTES_MAX) return false;
  response.write(`data: ${event.replace(/\r\n|\r|\n/g, '\ndata: ')}\n\n`);
  return true;
}
