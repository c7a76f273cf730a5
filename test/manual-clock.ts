import type { Clock } from '../src/live/space-stream.ts';

/** A clock that stands still until it is moved. */
export class ManualClock implements Clock {
  #ms = 1_000_000;
  readonly #timers = new Set<{ atMs: number; run: () => void }>();

  now(): number {
    return this.#ms;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { atMs: this.#ms + ms, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Timers that are running. */
  get size(): number {
    return this.#timers.size;
  }

  /** Lets so much time pass, each timer at its time, with what follows from it done before the next. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#ms + ms;
    for (;;) {
      await settle();
      const [next] = [...this.#timers].sort((a, b) => a.atMs - b.atMs);
      if (next === undefined || next.atMs > endMs) break;
      this.#timers.delete(next);
      this.#ms = next.atMs;
      next.run();
    }
    this.#ms = endMs;
  }
}

/** What waits for nothing but other code is done. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}
