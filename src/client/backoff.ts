const FIRST_MS = 250;
const LONGEST_MS = 10_000;
/** The longest pause that a server may ask for. */
const ASKED_MS_MAX = 3_600_000;

/** Pauses between retries. Each is up to twice as long as the last, and random, so that clients do not return together. */
export class Backoff {
  #ms = FIRST_MS;
  #end: (() => void) | null = null;
  /** `end` came before the pause. */
  #isEnded = false;
  /** The server has asked for the pause. */
  #isAsked = false;

  /** @param seconds a pause that the server asks for; null: the next pause of this sequence */
  async wait(seconds: number | null, signal: AbortSignal): Promise<void> {
    const askedMs = this.#isEnded ? 0 : Math.min(ASKED_MS_MAX, (seconds ?? 0) * 1000);
    const ms = Math.max(askedMs, this.#ms * (0.5 + Math.random() / 2));
    this.#isEnded = false;
    this.#isAsked = askedMs > 0;
    this.#ms = Math.min(LONGEST_MS, this.#ms * 2);
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = () => resolve();
    const timer = setTimeout(end, ms);
    this.#end = end;
    signal.addEventListener('abort', end);
    await promise;
    this.#end = null;
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }

  /**
   * Ends the current pause, or makes the next one short.
   * @param isForced also if the server has asked for it
   */
  end(isForced = true): void {
    if (this.#end === null) this.#isEnded ||= isForced;
    else if (isForced || !this.#isAsked) {
      this.#ms = FIRST_MS;
      this.#end();
    }
  }

  reset(): void {
    this.#ms = FIRST_MS;
  }
}
