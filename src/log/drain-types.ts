import type { Batch } from '../world/batch.ts';
import type { Seq } from '../world/types.ts';
import type { OwnLog } from './log-reader.ts';
import type { LogAddress, Retention } from './log-stores.ts';

/** Told of what nobody waits for. None of it holds what was written. */
export interface DrainEvent {
  event: 'drain_failed' | 'drain_incident' | 'dead_letters' | 'correction_failed' | 'records_sweep_failed';
  /** Null of `records_sweep_failed`, which is of all tenants. */
  address: LogAddress | null;
  /** Of `dead_letters`, how many. */
  count?: number;
  kind?: string;
  cause?: unknown;
}

/** A batch that Postgres has committed. */
export interface DrainedBatch {
  operations: number;
  /** Of these, the operations that changed nothing. */
  noEffects: number;
  /** From the plan to the commit. */
  durationMs: number;
  /** From the append of the oldest entry to the commit. */
  lagMs: number;
}

export interface DrainOptions {
  /** Milliseconds since 1970. */
  now: () => number;
  /** Resolves after so many milliseconds. */
  pause: (ms: number) => Promise<void>;
  onEvent: (told: DrainEvent) => void;
  onBatch?: (batch: DrainedBatch) => void;
  /** Has QStash start a drain of the space later; null without a QStash. */
  publishDrain: ((address: LogAddress & { delaySeconds: number }) => Promise<void>) | null;
  /** How long what drains leave behind is kept. */
  retention: Retention;
}

export interface SnapshotRenewer {
  /** Renews a space's snapshot that is far behind. It tells of its failure itself. */
  renew(address: LogAddress, incarnation: string): Promise<void>;
  /** A write to what states show and no log holds. */
  invalidateWhile<T>(tenantId: string, write: () => Promise<T>): Promise<T>;
}

export interface DrainReport {
  /**
   * `drained`: nothing is left. `continues`: time ran out, and a later drain continues. `relieved`: another drain has taken over.
   * `unknown_space`: the space was deleted with its log.
   */
  status: 'drained' | 'continues' | 'relieved' | 'unknown_space';
  operations: number;
  entries: number;
  batches: number;
  /** Where Postgres is now; null where that was not learned. */
  seq: Seq | null;
}

export interface DrainRun {
  /** Of the claim that an append made; null: the drain has none. */
  token: string | null;
  budgetMs: number;
  /** The entries of the append that claimed this drain, so that the drain need not read them. */
  own?: OwnLog | null;
  /** Receives the outcomes of entries with a waiting caller, when their batches commit. */
  onResults?: (results: Batch['results'], to: Seq) => void;
}
