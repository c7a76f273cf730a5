/** Calls back if a store makes no progress for a time. It runs only while the store, not the caller, has to act. */
export class SilenceTimer {
  readonly #silenceMsMax: number;
  readonly #onSilence: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(silenceMsMax: number, onSilence: () => void) {
    this.#silenceMsMax = silenceMsMax;
    this.#onSilence = onSilence;
  }

  /** Starts, or starts again. */
  start(): void {
    this.stop();
    if (this.#isClosed) return;
    this.#timer = setTimeout(this.#onSilence, this.#silenceMsMax);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Stops for good: a read that is still pending may end later. */
  close(): void {
    this.#isClosed = true;
    this.stop();
  }
}

/** Calls around each read of a stream. */
interface ReadHooks {
  before(): void;
  after(): void;
  /** Changes an error of the stream. */
  explain(error: unknown): unknown;
}

/** A stream that tells of its reads. It reads only on demand. */
export function watchReads(source: ReadableStream<Uint8Array>, hooks: ReadHooks): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  return new ReadableStream(
    {
      async pull(controller) {
        hooks.before();
        try {
          const { done, value } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          controller.error(hooks.explain(error));
        } finally {
          hooks.after();
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
