import type { LogOperation, OperationResult } from './operation.ts';
import type { JsonObject, ObjectInput, Quaternion, Seq, Vector3, WrittenObject } from './types.ts';

/** The net effect of a batch on one object: one row an object, each independent of the others. */
export type ObjectChange = ObjectPatchChange | ObjectPutChange | ObjectDeleteChange;

/** Where the object is there: the fields given are set, then each merge patch of `patches` (two at most) is applied in turn. */
export interface ObjectPatchChange {
  kind: 'patch';
  id: string;
  seq: Seq;
  actor: string | null;
  position?: Partial<Vector3>;
  rotation?: Quaternion;
  scale?: Partial<Vector3>;
  name?: string | null;
  modelId?: string | null;
  parentId?: string | null;
  patches?: JsonObject[];
}

/**
 * The object is this. Where it was there before, its `createdSeq` and `createdBy` stay, unless `isNew`: it was deleted within
 * the batch and made again.
 */
export interface ObjectPutChange {
  kind: 'put';
  id: string;
  seq: Seq;
  actor: string | null;
  object: ObjectInput;
  createdSeq: Seq;
  createdBy: string | null;
  isNew: boolean;
}

/** Where the object is there, it goes, and its removal is noted at `seq`. */
export interface ObjectDeleteChange {
  kind: 'delete';
  id: string;
  seq: Seq;
}

/** The net effect on one avatar; a person who is not known has none. */
export interface AvatarChange {
  id: string;
  seq: Seq;
  position?: Vector3;
  rotation?: Quaternion;
  patches?: JsonObject[];
}

/** An operation to be applied by itself, in order, so that one which cannot be kept takes nothing along. */
export interface SingleOperation {
  seq: Seq;
  /** Its place in its entry. */
  index: number;
  actor: string | null;
  op: LogOperation;
}

/** A problem that a drain found in the log. The same transaction stores it. */
export interface Incident {
  /**
   * `log_lost`: Redis forgot the log, or came back older than Postgres. `log_gap`: acknowledged entries are missing.
   * `redis_restarted`: Redis restarted while entries waited; some that were acknowledged last may be missing.
   */
  kind: 'log_lost' | 'log_gap' | 'redis_restarted';
  detail: JsonObject;
}

/** An operation that came to nothing: what it names was not there, or its condition did not hold. */
export interface NoEffect {
  seq: Seq;
  /** Its place in its entry. */
  index: number;
  kind: 'object' | 'avatar';
  id: string;
  status: 'unknown_object' | 'conflict';
}

/** A result that holds only if the object, or the person of the avatar, was there before the batch. */
export type PresumedResult = Pick<NoEffect, 'seq' | 'index' | 'kind' | 'id'>;

/** Names an object as the entry at `seq` left it. */
export interface WrittenKey {
  seq: Seq;
  id: string;
}

/** A stretch of the log, to be applied in one transaction that moves the cursor from `from` to `to`. */
export interface Batch {
  incarnation: string;
  from: Seq;
  to: Seq;
  objects: ObjectChange[];
  avatars: AvatarChange[];
  /** All operations, in order, of objects and avatars that are in neither list above. */
  singles: SingleOperation[];
  /** By entry, for callers that wait. The outcomes of `singles` replace the statuses here. */
  results: { seq: Seq; results: OperationResult[] }[];
  incidents: Incident[];
  /** Puts and patches whose callers need the object as the operation left it, each with the seq of its entry. */
  written?: readonly WrittenKey[];
  /** The puts in `objects` of which earlier operations of the batch assumed that the object exists. */
  doubtful?: readonly string[];
  /** It is from no log, and is not applied to a space that has one. */
  isDirect?: boolean;
  /** The `results` that say `applied` because their object was assumed to exist. */
  presumed?: readonly PresumedResult[];
}

export interface DeadOperation {
  deadLetterId: string;
  seq: Seq;
  index: number;
  kind: 'object' | 'avatar' | 'stage';
  id: string;
  /** Of an avatar: the members of its properties that the operation gave. */
  propertyKeys: string[];
}

export type BatchOutcome =
  | {
      status: 'applied';
      /** The patches in `objects` of an object that does not exist. */
      unknown: number;
      dead: DeadOperation[];
      /** Of patches, deletions, `doubtful` and avatars, what was not there. */
      absent: { objects: string[]; users: string[] };
      /** Which of `singles` came to nothing. */
      noEffects: Pick<NoEffect, 'seq' | 'index' | 'status'>[];
      /** The object that a direct batch was asked for in `written`; null where its operation did not apply. */
      object?: WrittenObject | null;
    }
  /** The cursor is not `from` any more, or the space another: nothing was applied. */
  | { status: 'moved'; cursor: Seq; incarnation: string }
  | { status: 'unknown_space' }
  /** The space is written through its log, and the batch is direct: nothing was applied. */
  | { status: 'log_open' }
  /** Rows that Postgres cannot keep: nothing was applied; to be sent again with these as `singles`. */
  | { status: 'poisoned'; objectIds: string[]; userIds: string[] };
