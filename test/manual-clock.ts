import type { Clock } from '../src/live/space-stream.ts';

/** A clock that moves only when a test moves it. */
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

  /** The number of running timers. */
  get size(): number {
    return this.#timers.size;
  }

  /** Moves the clock. Each timer runs at its time, and its promises settle before the next timer. */
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

/** Waits until all promises settle that wait only for other code. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}
