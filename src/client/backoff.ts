const FIRST_MS = 250;
const LONGEST_MS = 10_000;

/** Pauses between retries. Each is up to twice as long as the last, and random, so that clients do not return together. */
export class Backoff {
  #ms = FIRST_MS;
  #end: () => void = () => undefined;

  /** @param seconds a pause that the server asks for; null: the next pause of this sequence */
  async wait(seconds: number | null, signal: AbortSignal): Promise<void> {
    const ms = Math.max((seconds ?? 0) * 1000, this.#ms * (0.5 + Math.random() / 2));
    this.#ms = Math.min(LONGEST_MS, this.#ms * 2);
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = () => resolve();
    const timer = setTimeout(end, ms);
    this.#end = end;
    signal.addEventListener('abort', end);
    await promise;
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }

  /** Ends the current pause. */
  end(): void {
    this.#ms = FIRST_MS;
    this.#end();
  }

  reset(): void {
    this.#ms = FIRST_MS;
  }
}
