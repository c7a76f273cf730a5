import { LIMITS } from '../world/limits.ts';
import type { SealStore } from './seal-stores.ts';

/** The result of a run. Its counts are for the row that the run leaves. */
export interface SealReport {
  /** `busy`: another process seals now. `continues`: time ran out. */
  status: 'done' | 'continues' | 'busy';
  counts: { rows: number; seals: number };
  /** The age of the oldest row that waits for an older transaction to end; null: none waits. */
  waitingSeconds: number | null;
}

/**
 * Seals the audit rows of all tenants. Each step is one transaction of at most `auditSealRows` rows, and another process that seals makes it
 * return. So a run may end anywhere, and any number may run at the same time.
 */
export class AuditSealer {
  readonly #store: SealStore;
  readonly #options: { now: () => number; onWaiting: (seconds: number) => void };

  /** @param options.onWaiting told if a row has waited for longer than `auditUnsealedSecondsMax`, because an old transaction does not end */
  constructor(store: SealStore, options: { now: () => number; onWaiting: (seconds: number) => void }) {
    this.#store = store;
    this.#options = options;
  }

  /** @throws store_unavailable */
  async run({ budgetMs, signal }: { budgetMs: number; signal?: AbortSignal }): Promise<SealReport> {
    const { now, onWaiting } = this.#options;
    const endMs = now() + budgetMs;
    const counts = { rows: 0, seals: 0 };
    for (;;) {
      const { status, rows, seals, waitingSeconds } = await this.#store.sealAudit(LIMITS.auditSealRows);
      counts.rows += rows;
      counts.seals += seals;
      if (status === 'busy') return { status: 'busy', counts, waitingSeconds };
      if (status === 'sealed' && rows < LIMITS.auditSealRows) {
        if (waitingSeconds !== null && waitingSeconds > LIMITS.auditUnsealedSecondsMax)
          onWaiting(waitingSeconds);
        return { status: 'done', counts, waitingSeconds };
      }
      if (now() >= endMs || signal?.aborted) return { status: 'continues', counts, waitingSeconds };
    }
  }
}
