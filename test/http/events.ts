import { createParser, type EventSourceMessage } from 'eventsource-parser';
import type { Target } from './targets.ts';

/** A stream of one client. */
export interface EventClient {
  response: Response;
  /** All events so far, and the comments. */
  events: EventSourceMessage[];
  comments: string[];
  retryMs: () => number | null;
  /** The operations' ids of the changes so far. */
  ids(): string[];
  /** Resolves when the other side ends it: with `cut` if it broke off. */
  ended: Promise<'ended' | 'cut'>;
  /** Closes the connection. */
  leave(): Promise<void>;
}

export interface OpenEvents {
  credential?: string;
  query?: string;
  headers?: Record<string, string>;
}

/** Opens `GET {at}/stream` and reads it. @throws the code of an answer that is not a stream */
export async function openEvents(
  target: Target,
  at: string,
  { credential, query = '', headers = {} }: OpenEvents,
): Promise<EventClient> {
  const response = await target.fetch(`${at}/stream${query}`, {
    headers: { ...(credential !== undefined && { Authorization: `Bearer ${credential}` }), ...headers },
  });
  const type = response.headers.get('Content-Type') ?? '';
  if (response.status !== 200 || response.body === null || !type.startsWith('text/event-stream'))
    throw new Error(`${response.status} ${(await response.text()).match(/"code":"(\w+)"/)?.[1]}`);
  const events: EventSourceMessage[] = [];
  const comments: string[] = [];
  let retryMs: number | null = null;
  const parser = createParser({
    onEvent: (event) => void events.push(event),
    onComment: (comment) => void comments.push(comment),
    onRetry: (ms) => {
      retryMs = ms;
    },
  });
  const reader = response.body.getReader();
  const read = async (): Promise<'ended'> => {
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 'ended';
      parser.feed(decoder.decode(value, { stream: true }));
    }
  };
  const ended = read().catch(() => 'cut' as const);
  return {
    response,
    events,
    comments,
    ended,
    retryMs: () => retryMs,
    ids: () =>
      events
        .filter(({ event }) => event === 'change')
        .flatMap(({ data }) => (JSON.parse(data) as { ops: { id: string }[] }).ops.map(({ id }) => id)),
    leave: () => reader.cancel(),
  };
}
