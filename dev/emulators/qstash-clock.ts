/** Time for the queue: what it is, and being called at one. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls `run` once, as soon as `atMs` has come; returns what cancels it. */
  setTimer(atMs: number, run: () => void): () => void;
}

// The longest time of setTimeout; a longer one fires immediately.
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer(atMs, run) {
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const restMs = atMs - Date.now();
      timer =
        restMs > TIMEOUT_MS_MAX ? setTimeout(arm, TIMEOUT_MS_MAX) : setTimeout(run, Math.max(restMs, 0));
    };
    arm();
    return () => clearTimeout(timer);
  },
};

/** A clock that moves only when a test advances it. */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #timers = new Set<{ atMs: number; run: () => void }>();

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  setTimer(atMs: number, run: () => void): () => void {
    const timer = { atMs, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Goes on by `ms`, calling every timer that comes due, in order, also those set meanwhile. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let due = this.#takeDue(untilMs); due !== null; due = this.#takeDue(untilMs)) {
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.run();
    }
    this.#nowMs = untilMs;
  }

  #takeDue(untilMs: number): { atMs: number; run: () => void } | null {
    const due = [...this.#timers].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
    if (due !== undefined) this.#timers.delete(due);
    return due ?? null;
  }
}
