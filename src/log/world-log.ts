import type { AppendedOperation } from '../world/operation.ts';
import type { JsonObject, SaveMode, Seq } from '../world/types.ts';
import type { LogAddress } from './log-stores.ts';
import type { AppendOptions, CommittedOperations, Queued } from './space-log.ts';

/** The place of a write, and its author. */
export interface WriteTarget {
  tenantId: string;
  spaceId: string;
  actor: string | null;
  /** Of the request, for the audit. */
  requestId?: string | undefined;
  /** The actor is a person in one space, who signs nothing as somebody else. */
  isSession?: boolean;
}

/**
 * Redis is away: the request waits for its place in the log. `spilled`: in Postgres. `memory`: Postgres is away too, and the request is
 * in the memory of this process.
 */
export interface Spilled {
  status: 'spilled' | 'memory';
  accepted: number;
  /** The ids of the posted messages, in order: of the first answer, if this is a repeat. */
  messageIds?: readonly string[];
}

/** The order of a tenant's spaces, through which every write of a world goes. SpaceLog, SpillingLog and DirectLog are it. */
export interface WorldLog {
  /** Every write waits for its commit, asked for or not. */
  readonly commitsAlways: boolean;
  enqueue(
    target: WriteTarget,
    operations: readonly AppendedOperation[],
    options: AppendOptions,
  ): Promise<Queued | CommittedOperations | Spilled>;
  commit(
    target: WriteTarget,
    operations: readonly AppendedOperation[],
    options: AppendOptions,
  ): Promise<Queued | CommittedOperations>;
  commitStage(
    target: WriteTarget,
    stage: { stageId: string; mode: SaveMode },
    options: AppendOptions,
  ): Promise<Queued | CommittedOperations>;
  /** A space has new settings. */
  applySettings(address: LogAddress, settings: JsonObject): Promise<void>;
  /** A space was deleted: its log goes too. */
  retire(address: LogAddress, incarnation: string): Promise<void>;
  /** The log's end, null where there is none, and for how long the oldest entry not committed has waited. */
  readLag(address: LogAddress): Promise<{ seq: Seq | null; durabilityLagMs: number }>;
}
