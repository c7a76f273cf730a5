import { createParser } from 'eventsource-parser';
import type { Requests } from './requests.ts';

/** Milliseconds without a byte after which a stream has failed: the server sends a comment at least every 25 s. */
const SILENT_MS_MAX = 60_000;

export interface StreamOptions {
  since: number;
  /** `since` is the id of an event of the stream. */
  isExact: boolean;
  signal: AbortSignal;
  onOpen: () => void;
  /** Events in order. The next is read when the promise resolves. */
  onEvent: (event: string, data: string) => Promise<void>;
}

/** Reads the changes of a space until the stream ends. @throws WorldkeepError if it cannot be opened */
export async function readStream(requests: Requests, options: StreamOptions): Promise<void> {
  const { since, isExact, signal, onOpen, onEvent } = options;
  const silent = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hear = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silent.abort(), SILENT_MS_MAX);
  };
  const waiting: [event: string, data: string][] = [];
  const parser = createParser({ onEvent: ({ event = '', data }) => waiting.push([event, data]) });
  hear();
  try {
    const { body } = await requests.send(`/stream?committed=true${isExact ? '' : `&since=${since}`}`, {
      headers: isExact ? { 'Last-Event-ID': String(since) } : {},
      signal: AbortSignal.any([signal, silent.signal]),
      isStream: true,
    });
    onOpen();
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    const decoder = new TextDecoder();
    for (;;) {
      // A cut connection is the end of the stream: the caller opens another.
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
      if (done || signal.aborted) return;
      hear();
      parser.feed(decoder.decode(value, { stream: true }));
      for (const [event, data] of waiting.splice(0)) await onEvent(event, data);
    }
  } finally {
    clearTimeout(timer);
    silent.abort();
  }
}
