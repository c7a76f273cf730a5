import type { LogEntry, LogOperation, OperationResult } from './operation.ts';
import type { TargetKind } from './operation-effects.ts';
import type { JsonObject, ObjectInput, Quaternion, Seq, Vector3, WrittenObject } from './types.ts';

/** The net effect of a batch on one object: one row an object, each independent of the others. */
export type ObjectChange = ObjectPatchChange | ObjectPutChange | ObjectDeleteChange;

/** If the object exists: sets the given fields, then applies each merge patch of `patches` (two at most) in order. */
export interface ObjectPatchChange {
  kind: 'patch';
  id: string;
  seq: Seq;
  /** The last entry that did more than move the object, if that is not the last. */
  contentSeq?: Seq;
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
 * The whole object. If the object exists, its `createdSeq` and `createdBy` stay, unless `isNew`: the batch deleted it
 * and created it again.
 */
export interface ObjectPutChange {
  kind: 'put';
  id: string;
  seq: Seq;
  contentSeq?: Seq;
  actor: string | null;
  object: ObjectInput;
  createdSeq: Seq;
  createdBy: string | null;
  isNew: boolean;
}

/** If the object exists: deletes it, and records the removal at `seq`. */
export interface ObjectDeleteChange {
  kind: 'delete';
  id: string;
  seq: Seq;
}

/** The net effect on one avatar. There is none for an unknown person. */
export interface AvatarChange {
  id: string;
  seq: Seq;
  /** The last entry that did more than move the avatar, if that is not the last. */
  contentSeq?: Seq;
  position?: Vector3;
  rotation?: Quaternion;
  patches?: JsonObject[];
}

/** The net effect on one message: it is posted, deleted, or both. */
export interface MessageChange {
  id: string;
  post: { seq: Seq; userId: string | null; text: string; kind: string } | null;
  /** The seq of its deletion; null: it is not deleted. */
  deletedSeq: Seq | null;
}

/** An operation to apply by itself, in order: if Postgres cannot store it, no other operation fails. */
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

/** An operation without effect: its object or person did not exist, or its condition was not met. */
export interface NoEffect {
  seq: Seq;
  /** Its place in its entry. */
  index: number;
  kind: TargetKind;
  id: string;
  status: 'unknown_object' | 'conflict';
}

/** A result that is true only if the object, message or person of the avatar existed before the batch. */
export type PresumedResult = Pick<NoEffect, 'seq' | 'index' | 'kind' | 'id'>;

/** Names an object as the entry at `seq` left it. */
export interface WrittenKey {
  seq: Seq;
  id: string;
}

/** Operations of a batch for the statistics of its space. `changes` changed objects and avatars, and `posted` are messages. */
export interface BatchCounts {
  changes: number;
  posted: number;
}

/** The author and the request of an entry. */
export type Origin = Pick<LogEntry, 'seq' | 'actor' | 'requestId'>;

/** A part of the log, to apply in one transaction that moves the cursor from `from` to `to`. */
export interface Batch {
  incarnation: string;
  from: Seq;
  to: Seq;
  objects: ObjectChange[];
  avatars: AvatarChange[];
  messages?: readonly MessageChange[];
  /** All operations, in order, of objects, avatars and messages that are in no list above. */
  singles: SingleOperation[];
  /** By entry, for callers that wait. The outcomes of `singles` replace the statuses here. */
  results: { seq: Seq; results: OperationResult[] }[];
  incidents: Incident[];
  counts?: BatchCounts;
  /** Puts and patches whose callers need the object as the operation left it, each with the seq of its entry. */
  written?: readonly WrittenKey[];
  /** The puts in `objects` whose object earlier operations of the batch assumed to exist. */
  doubtful?: readonly string[];
  /** It does not come from a log. Postgres refuses it for a space that has a log. */
  isDirect?: boolean;
  /** The `results` that say `applied` because their object was assumed to exist. */
  presumed?: readonly PresumedResult[];
  /** The entries that the rows come from, for the audit. */
  origins?: readonly Origin[];
}

export interface DeadOperation {
  deadLetterId: string;
  seq: Seq;
  index: number;
  kind: TargetKind | 'stage';
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
      /** The missing objects, people and messages of patches, deletions, `doubtful` and avatars. */
      absent: { objects: string[]; users: string[]; messages: string[] };
      /** The `singles` without effect. */
      noEffects: Pick<NoEffect, 'seq' | 'index' | 'status'>[];
      /** The object that a direct batch names in `written`; null if its operation was not applied. */
      object?: WrittenObject | null;
    }
  /** Nothing was applied: the cursor is no longer `from`, or the incarnation is another one. */
  | { status: 'moved'; cursor: Seq; incarnation: string }
  | { status: 'unknown_space' }
  /** Nothing was applied: the batch is direct, but the space has a log. */
  | { status: 'log_open' }
  /** Nothing was applied: Postgres cannot store these rows. The caller sends the batch again with them as `singles`. */
  | { status: 'poisoned'; objectIds: string[]; userIds: string[]; messageIds: string[] };
