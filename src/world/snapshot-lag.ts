import { LIMITS } from './limits.ts';

/** By how much a snapshot is behind the log, and how many objects it has. */
export interface SnapshotLag {
  objects: number;
  operations: number;
  bytes: number;
  /** Milliseconds since the oldest operation that it does not have. */
  ms: number;
}

/** Of the log behind a snapshot: with one of these it is renewed. As many as its objects, so that each update pays the same. */
const OPERATIONS_MIN = 1_000;
const OPERATIONS_MAX = 5_000;
const BYTES_MAX = 1024 * 1024;
/** Half of the time that a log is kept for behind Postgres: a snapshot that it does not reach is lost. */
const MS_MAX = LIMITS.replayWindowMsMax / 2;

/** Whether a snapshot is to be renewed, by the log behind it. */
export function isBehind({ operations, bytes, ms, objects }: SnapshotLag): boolean {
  if (operations === 0) return false;
  const operationsMax = Math.min(OPERATIONS_MAX, Math.max(OPERATIONS_MIN, objects));
  return operations >= operationsMax || bytes >= BYTES_MAX || ms >= MS_MAX;
}
