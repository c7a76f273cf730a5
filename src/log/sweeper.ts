import { LRUCache } from 'lru-cache';
import { nameOf } from './batch-sizes.ts';
import type { DrainReport } from './drain-types.ts';
import type { LogAddress } from './log-stores.ts';

export interface SweepReport {
  spaces: number;
  operations: number;
  entries: number;
  batches: number;
  /** Spaces that still have something to drain. */
  left: number;
}

type DrainSpace = (address: LogAddress, budget: { budgetMs: number }) => Promise<DrainReport>;

/** Spaces of which a failure is remembered. */
const FAILED_SPACES_MAX = 10_000;
const LANES = 4;
/** Milliseconds that one space is drained for, while others wait. */
const SPACE_MS = 5_000;

/** Drains many spaces, a few at the same time. Spaces that failed recently come last. */
export class Sweeper {
  readonly #drainSpace: DrainSpace;
  readonly #now: () => number;
  readonly #failedMs = new LRUCache<string, number>({ max: FAILED_SPACES_MAX });

  constructor(drainSpace: DrainSpace, now: () => number) {
    this.#drainSpace = drainSpace;
    this.#now = now;
  }

  /** @returns what it did, and the first failure, if any: the others were drained all the same. */
  async sweep(
    spaces: readonly LogAddress[],
    { budgetMs }: { budgetMs: number },
  ): Promise<{ report: SweepReport; failure: unknown }> {
    const endMs = this.#now() + budgetMs;
    const report: SweepReport = { spaces: 0, operations: 0, entries: 0, batches: 0, left: 0 };
    const waiting = spaces.toSorted((one, other) => this.#failedAt(one) - this.#failedAt(other)).values();
    let failure: unknown;
    // Each in a lane of its own for a while: one that cannot be drained keeps few of the others waiting.
    const sweepLane = async () => {
      for (const address of waiting) {
        if (this.#now() >= endMs) {
          report.left++;
          continue;
        }
        report.spaces++;
        try {
          const budget = { budgetMs: Math.min(SPACE_MS, endMs - this.#now()) };
          const { status, operations, entries, batches } = await this.#drainSpace(address, budget);
          report.operations += operations;
          report.entries += entries;
          report.batches += batches;
          if (status === 'continues') report.left++;
          this.#failedMs.delete(nameOf(address));
        } catch (error) {
          failure ??= error;
          report.left++;
          this.#failedMs.set(nameOf(address), this.#now());
        }
      }
    };
    await Promise.all(Array.from({ length: LANES }, sweepLane));
    return { report, failure };
  }

  /** The time of the last failure; 0 if there was none recently. */
  #failedAt(address: LogAddress): number {
    return this.#failedMs.get(nameOf(address)) ?? 0;
  }
}
