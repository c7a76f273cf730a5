import type { DeleteOperation, PatchOperation, PutOperation } from '../world/operation.ts';
import type { JsonObject, Quaternion, Seq, Vector3 } from '../world/types.ts';

/** An object as this client sees it. Metres; a unit quaternion; seqs are microseconds since 1970. Never changed in place. */
export interface LiveObject {
  readonly id: string;
  readonly name: string | null;
  readonly modelId: string | null;
  readonly parentId: string | null;
  readonly position: Readonly<Vector3>;
  readonly rotation: Readonly<Quaternion>;
  readonly scale: Readonly<Vector3>;
  readonly properties: JsonObject;
  /** The seq of its last confirmed change; 0: the server has not confirmed it yet. */
  readonly seq: Seq;
  readonly createdSeq: Seq;
  readonly createdBy: string | null;
  readonly updatedBy: string | null;
}

/** A person's avatar in this space. */
export interface LiveUser {
  readonly id: string;
  readonly displayName: string;
  readonly avatarUrl: string | null;
  readonly position: Readonly<Vector3>;
  readonly rotation: Readonly<Quaternion>;
  readonly properties: JsonObject;
  readonly seq: Seq;
}

export interface LiveMessage {
  /** The server's id; an id of this client while the message is pending. */
  readonly id: string;
  readonly userId: string | null;
  readonly text: string;
  readonly kind: string;
  /** 0 while the message is pending. */
  readonly seq: Seq;
}

/** A person who is in the space now. */
export interface PresentUser {
  readonly userId: string;
  readonly sessions: number;
  readonly joinedAt: string;
  readonly lastSeenAt: string;
}

export type ObjectFields = Omit<PutOperation, 'op' | 'id' | 'ifExists'>;
export type ObjectChanges = Omit<PatchOperation, 'op' | 'id' | 'ifExists'>;
export type DeleteOptions = Pick<DeleteOperation, 'ifSeq'>;
export interface Placement {
  /** Members that are absent stay as they are. */
  position?: Partial<Vector3>;
  rotation?: Quaternion;
  scale?: Partial<Vector3>;
}
export interface AvatarChanges {
  position?: Vector3;
  rotation?: Quaternion;
  properties?: JsonObject;
}
