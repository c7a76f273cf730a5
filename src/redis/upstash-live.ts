import { createParser } from 'eventsource-parser';
import type { LiveHandlers, LiveSource, LiveSubscription } from '../live/live-stores.ts';
import { createLostError } from './errors.ts';
import { liveChannel } from './keys.ts';
import type { UpstashOptions } from './upstash.ts';

/**
 * Published messages through Upstash's REST interface. Each subscription is a request of its own, answered by a stream of
 * server-sent events. So it works where no connection may outlive its request.
 */
export function openUpstashLive({ url, token, timeoutMs, readHeaders }: UpstashOptions): LiveSource {
  return {
    async subscribe(address, incarnation, handlers) {
      const channel = liveChannel(address, incarnation);
      const request = new AbortController();
      const timer = setTimeout(() => request.abort(), timeoutMs);
      try {
        const response = await fetch(`${url.replace(/\/+$/, '')}/subscribe/${encodeURIComponent(channel)}`, {
          method: 'POST',
          headers: {
            ...readHeaders?.(),
            Authorization: `Bearer ${token}`,
            Accept: 'text/event-stream',
          },
          signal: request.signal,
        });
        if (!response.ok || response.body === null)
          throw new Error(`a subscription was answered ${response.status}`);
        return await follow(response.body, channel, handlers, request);
      } catch (cause) {
        request.abort();
        throw createLostError(cause);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/** Resolves when the subscription is acknowledged, and reads on. */
async function follow(
  body: ReadableStream<Uint8Array>,
  channel: string,
  { onMessage, onEnd }: LiveHandlers,
  request: AbortController,
): Promise<LiveSubscription> {
  const acknowledged = Promise.withResolvers<void>();
  let isClosed = false;
  let isAcknowledged = false;
  const [greeting, prefix] = [`subscribe,${channel},`, `message,${channel},`];
  const parser = createParser({
    onEvent({ data }) {
      if (isClosed) return;
      if (data.startsWith(prefix)) onMessage(data.slice(prefix.length));
      else if (data.startsWith(greeting)) {
        isAcknowledged = true;
        acknowledged.resolve();
      }
    },
  });
  const read = async () => {
    // Characters may be cut between two pieces.
    const decoder = new TextDecoder();
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
    }
  };
  const end = (cause?: unknown) => {
    acknowledged.reject(cause ?? new Error('a subscription ended'));
    if (isClosed || !isAcknowledged) return;
    isClosed = true;
    onEnd();
  };
  read().then(() => end(), end);
  await acknowledged.promise;
  return {
    close() {
      isClosed = true;
      request.abort();
    },
  };
}
