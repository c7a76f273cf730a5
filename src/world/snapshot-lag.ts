import { LIMITS } from './limits.ts';

/** The distance of a snapshot from the end of the log, and its number of objects. */
export interface SnapshotLag {
  objects: number;
  operations: number;
  bytes: number;
  /** Milliseconds since the oldest operation that the snapshot does not have. */
  ms: number;
}

/** Limits after which a snapshot is renewed: about one operation for each object, so that each update costs the same. */
const OPERATIONS_MIN = 1_000;
const OPERATIONS_MAX = 5_000;
const BYTES_MAX = 1024 * 1024;
/** Half of the time for which a committed log stays: a snapshot from before the log is useless. */
const MS_MAX = LIMITS.replayWindowMsMax / 2;

/** Whether the log after a snapshot is so long that the snapshot must be renewed. */
export function isBehind({ operations, bytes, ms, objects }: SnapshotLag): boolean {
  if (operations === 0) return false;
  const operationsMax = Math.min(OPERATIONS_MAX, Math.max(OPERATIONS_MIN, objects));
  return operations >= operationsMax || bytes >= BYTES_MAX || ms >= MS_MAX;
}
