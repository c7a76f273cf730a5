import type { JsonObject, Quaternion, SaveMode, Seq, Vector3 } from './types.ts';

/**
 * What must be true of an object before the entry that holds the operation, decided in the log's order: its seq is this, or
 * one of these (0: it is not there; at most `LIMITS.conditionSeqsMax` from a caller). Only the object routes write `ifExists`,
 * for `If-Match: *` and `If-None-Match: *`; changes and streams show it.
 */
export interface Condition {
  ifSeq?: Seq | Seq[];
  ifExists?: boolean;
}

/** Creates an object or replaces it whole: what is absent takes its default. */
export interface PutOperation extends Condition {
  op: 'put';
  id: string;
  position?: Vector3;
  rotation?: Quaternion;
  scale?: Vector3;
  name?: string | null;
  modelId?: string | null;
  parentId?: string | null;
  properties?: JsonObject;
}

/** Changes the fields given of an object that is there. `properties` is an RFC 7396 merge patch. */
export interface PatchOperation extends Condition {
  op: 'patch';
  id: string;
  position?: Partial<Vector3>;
  rotation?: Quaternion;
  scale?: Partial<Vector3>;
  name?: string | null;
  modelId?: string | null;
  parentId?: string | null;
  properties?: JsonObject;
}

export interface DeleteOperation extends Condition {
  op: 'delete';
  id: string;
}

/** Moves a person's avatar in the space, or puts it there: at the origin, if no position is given. */
export interface UserPatchOperation {
  op: 'user.patch';
  id: string;
  position?: Vector3;
  rotation?: Quaternion;
  properties?: JsonObject;
}

/** Makes a staged world the space's. Not taken from callers: a save of a whole world writes it. It is alone in its entry. */
export interface StageOperation {
  op: 'stage';
  /** The stage's id. */
  id: string;
  mode: SaveMode;
}

export type ObjectOperation = PutOperation | PatchOperation | DeleteOperation;
/**
 * Moves many objects, in columns: `position` and `scale` have three numbers for each id, `rotation` four. At least one column is
 * given. It is the same as a patch of each object, in order: of an id that is given twice, the last value counts.
 */
export interface MoveOperation {
  op: 'move';
  ids: string[];
  position?: number[];
  rotation?: number[];
  scale?: number[];
}

/** Moves the avatars of many people, as `move` does objects. */
export interface UserMoveOperation {
  op: 'user.move';
  ids: string[];
  position?: number[];
  rotation?: number[];
}

/** An operation on one object or avatar. */
export type Operation = ObjectOperation | UserPatchOperation;
/** What callers may send. */
export type SentOperation = Operation | MoveOperation | UserMoveOperation;
/** What an entry of the log holds, moves as patches. */
export type LogOperation = Operation | StageOperation;

/** A step of a space's order. */
export interface LogEntry {
  seq: Seq;
  /** The seq of the entry before it: whose cursor is another has missed some. */
  prev: Seq;
  actor: string | null;
  ops: LogOperation[];
  /** Somebody waits for the outcomes of its operations. */
  waits: boolean;
  /** The waiting caller also needs the object as this entry left it. */
  returnsObject?: boolean;
}

/**
 * What became of one operation. `unknown_object`: it is not there (for `user.patch`: no such person). `conflict`: the
 * condition did not hold. `rejected`: applied to what is there it would have made what cannot be kept.
 */
export type OperationStatus = 'applied' | 'unknown_object' | 'conflict' | 'rejected';

export interface OperationResult {
  id: string;
  status: OperationStatus;
}
