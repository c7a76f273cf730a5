import type { FlowLimits } from './qstash-store.ts';

interface KeyUse {
  active: number;
  /** Started since `periodStartMs`. */
  started: number;
  periodStartMs: number;
  waiting: (() => void)[];
}

export type FlowTurn = { kind: 'go' } | { kind: 'wait' } | { kind: 'later'; atMs: number };

/** Holds deliveries that share a flow control key to their parallelism and rate. */
export class FlowControl {
  readonly #uses = new Map<string, KeyUse>();

  /**
   * `go`: begun, to be ended with {@link leave}. `wait`: `resume` is called when another has ended. `later`:
   * to be asked again at `atMs`.
   */
  enter(limits: FlowLimits, nowMs: number, resume: () => void): FlowTurn {
    const use = this.#uses.get(limits.key) ?? { active: 0, started: 0, periodStartMs: nowMs, waiting: [] };
    this.#uses.set(limits.key, use);
    if (limits.parallelism !== null && use.active >= limits.parallelism) {
      use.waiting.push(resume);
      return { kind: 'wait' };
    }
    if (nowMs >= use.periodStartMs + limits.periodMs) {
      use.periodStartMs = nowMs;
      use.started = 0;
    }
    if (limits.rate !== null && use.started >= limits.rate)
      return { kind: 'later', atMs: use.periodStartMs + limits.periodMs };
    use.active += 1;
    use.started += 1;
    return { kind: 'go' };
  }

  leave(key: string): void {
    const use = this.#uses.get(key);
    if (use === undefined) return;
    use.active -= 1;
    // All of them ask again: the first may be cancelled by now, or held back by the rate.
    for (const resume of use.waiting.splice(0)) resume();
  }
}
