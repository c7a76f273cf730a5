import type { Requests } from './requests.ts';

/** Milliseconds without a byte after which a stream has failed: the server sends a comment at least every 25 s. */
const SILENT_MS_MAX = 60_000;
/** An event without an end is no event: an entry has up to 256 KiB. */
const EVENT_CHARACTERS_MAX = 16 * 1024 * 1024;

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
    let text = '';
    for (;;) {
      // A cut connection is the end of the stream: the caller opens another.
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
      if (done || signal.aborted) return;
      hear();
      text += decoder.decode(value, { stream: true });
      // The server ends each event with an empty line. The text after the last one is not complete yet.
      const blocks = text.split('\n\n');
      text = blocks.pop() as string;
      if (text.length > EVENT_CHARACTERS_MAX) return;
      for (const block of blocks) {
        const fields = new Map(block.split('\n').map((line) => line.split(/: (.*)/s) as [string, string]));
        const event = fields.get('event');
        if (event !== undefined) await onEvent(event, fields.get('data') ?? '');
      }
    }
  } finally {
    clearTimeout(timer);
    silent.abort();
  }
}
