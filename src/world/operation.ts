import type { JsonObject, Quaternion, SaveMode, Seq, Vector3 } from './types.ts';

/**
 * A condition on an object before the entry that holds the operation. The order of the log decides it. `ifSeq`: the seq
 * is this, or one of these (0: no object; a caller may send `LIMITS.conditionSeqsMax`). Only the object routes write
 * `ifExists`, for `If-Match: *` and `If-None-Match: *`. Changes and streams show it.
 */
export interface Condition {
  ifSeq?: Seq | Seq[];
  ifExists?: boolean;
}

/** Creates an object or replaces the whole object. Absent fields take their defaults. */
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

/** Changes the given fields of an existing object. `properties` is an RFC 7396 merge patch. */
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

/** Moves a person's avatar in the space, or creates it, by default at the origin. */
export interface UserPatchOperation {
  op: 'user.patch';
  id: string;
  position?: Vector3;
  rotation?: Quaternion;
  properties?: JsonObject;
}

/** A message in the space's chat. The server creates its `id`. */
export interface ChatPostOperation {
  op: 'chat.post';
  id: string;
  /** The author; null: nobody is named. */
  userId: string | null;
  text: string;
  /** A name that the clients choose; `text` by default. */
  kind: string;
}

/** Hides a message from states and lists. A cleanup deletes its row later. */
export interface ChatDeleteOperation {
  op: 'chat.delete';
  id: string;
}

/** Makes a staged world the space's. Only a save of a whole world writes it, alone in its entry; callers cannot. */
export interface StageOperation {
  op: 'stage';
  /** The stage's id. */
  id: string;
  mode: SaveMode;
}

export type ObjectOperation = PutOperation | PatchOperation | DeleteOperation;
/**
 * Moves many objects, in columns: `position` and `scale` have three numbers for each id, `rotation` four. At least one
 * column is given. It has the effect of a patch of each object, in order: if an id appears twice, its last value
 * counts.
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

/** A message as a caller sends it. A caller's `id` is only its idempotency key: the message gets another id. */
export interface SentChatPost {
  op: 'chat.post';
  id?: string;
  userId?: string | null;
  text: string;
  kind?: string;
}

/** An operation on one object, avatar or message. */
export type Operation = ObjectOperation | UserPatchOperation | ChatPostOperation | ChatDeleteOperation;
/** The operations that an entry of the log may hold. */
export type AppendedOperation = Operation | MoveOperation | UserMoveOperation;
/** The operations that callers may send. */
export type SentOperation = Exclude<AppendedOperation, ChatPostOperation> | SentChatPost;
/** The same with moves as patches, and with `stage`. */
export type LogOperation = Operation | StageOperation;

/** One step in the order of a space. */
export interface LogEntry {
  seq: Seq;
  /** The seq of the entry before it. A reader with another cursor has missed entries. */
  prev: Seq;
  actor: string | null;
  /** Of the request that appended it, for the audit; absent where nobody said it, or the entry only moves. */
  requestId?: string;
  ops: LogOperation[];
  /** A caller waits for the outcomes of its operations. */
  waits: boolean;
  /** The waiting caller also needs the object as this entry left it. */
  returnsObject?: boolean;
}

/**
 * The outcome of one operation. `unknown_object`: the object, message or person of `user.patch` does not exist.
 * `conflict`: the condition was not met. `rejected`: Postgres cannot store the result.
 */
export type OperationStatus = 'applied' | 'unknown_object' | 'conflict' | 'rejected';

export interface OperationResult {
  id: string;
  status: OperationStatus;
}
