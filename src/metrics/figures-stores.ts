import type { Seq } from '../world/types.ts';

/** The part of the figures that Redis knows. */
export interface LogFigures {
  /** Open streams of the tenant. */
  streams: number;
  /** Operations that drains committed. */
  drained: number;
  /** The pending entries of the tenant's spaces. */
  pending: { spaces: number; operations: number; entries: number; bytes: number; oldestMs: number };
  /** The spaces with the most pending operations first, then the spaces with the newest entries. */
  spaces: SpaceFigures[];
  deployment: {
    streams: number;
    pendingSpaces: number;
    /** Counts of the deployment by field, as far as they were asked for. */
    counts: ReadonlyMap<string, number>;
  };
}

/** The figures of one space. */
export interface SpaceFigures {
  id: string;
  /** The newest seq of its log. */
  seq: Seq;
  /** Operations that its log took since it was opened in this Redis. */
  appended: number;
  pendingOperations: number;
  pendingEntries: number;
  pendingBytes: number;
  /** Milliseconds for which the oldest pending entry has waited. */
  oldestPendingMs: number;
  streams: number;
  /** Sessions that are present. */
  sessions: number;
}

export interface LogFiguresStore {
  /** Two commands, whose cost has a limit. @param fields of the deployment's counts. @throws store_unavailable */
  readFigures(tenantId: string, fields: readonly string[]): Promise<LogFigures>;
}

export interface SpilledStore {
  /** The tenant's requests that wait for Redis, `LIMITS.figuresSpilledMax` at most. @throws store_unavailable */
  countSpilled(tenantId: string): Promise<number>;
}
