/** The parts of a world as HTTP sends them: camelCase, metres, unit quaternions, times in RFC 3339 UTC. */

export interface Vector3 {
  x: number;
  y: number;
  z: number;
}

export interface Quaternion {
  x: number;
  y: number;
  z: number;
  w: number;
}

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };
export type JsonObject = { [key: string]: JsonValue };

/** The place of a write in the order of its space: microseconds since 1970, or the last seq plus one if greater. */
export type Seq = number;

/** An axis-aligned box in metres. */
export interface Bounds {
  min: Vector3;
  max: Vector3;
}

export interface Space {
  id: string;
  name: string;
  description: string | null;
  settings: JsonObject;
  bounds: Bounds | null;
  seq: Seq;
  createdAt: string;
  updatedAt: string;
}

export interface SpaceInput {
  name: string;
  description?: string | null;
  settings?: JsonObject;
  bounds?: Bounds | null;
}

export interface WorldObject {
  id: string;
  spaceId: string;
  name: string | null;
  modelId: string | null;
  /** May name a missing object: a parent may be created after its children, or deleted before them. */
  parentId: string | null;
  position: Vector3;
  rotation: Quaternion;
  scale: Vector3;
  properties: JsonObject;
  seq: Seq;
  createdBy: string | null;
  updatedBy: string | null;
  createdAt: string;
  updatedAt: string;
}

/** An object after one write. The write created it if `createdSeq` is the seq of the write. */
export interface WrittenObject {
  object: WorldObject;
  createdSeq: Seq;
}

/** A whole object from a caller. Absent members take their defaults (null, origin, no rotation, scale 1, `{}`). */
export interface ObjectInput {
  id: string;
  name: string | null;
  modelId: string | null;
  parentId: string | null;
  position: Vector3;
  rotation: Quaternion;
  scale: Vector3;
  properties: JsonObject;
}

/** A change of some fields. `properties` is an RFC 7396 merge patch. Position and scale may be partial. */
export interface ObjectPatch {
  name?: string | null;
  modelId?: string | null;
  parentId?: string | null;
  position?: Partial<Vector3>;
  rotation?: Quaternion;
  scale?: Partial<Vector3>;
  properties?: JsonObject;
}

export interface User {
  id: string;
  displayName: string;
  avatarUrl: string | null;
  properties: JsonObject;
  createdAt: string;
  lastSeenAt: string | null;
}

export interface UserInput {
  id: string;
  displayName: string;
  avatarUrl: string | null;
  properties: JsonObject;
}

/** A person's body in one space. */
export interface Avatar {
  id: string;
  displayName: string;
  avatarUrl: string | null;
  position: Vector3;
  rotation: Quaternion;
  properties: JsonObject;
  seq: Seq;
}

/** A model or a media file: the address of its bytes. */
export interface Asset {
  id: string;
  name: string;
  url: string;
  sha256: string | null;
  bytes: number | null;
  contentType: string | null;
  createdAt: string;
}

/** The lowest role that may post messages in a space (`settings.chat`); `off`: nobody may. */
export type ChatRule = Role | 'off';

export interface ChatMessage {
  id: string;
  userId: string | null;
  text: string;
  kind: string;
  seq: Seq;
  createdAt: string;
}

export interface WorldState {
  space: Space;
  /** The seq of this state. */
  seq: Seq;
  /** The last seq that Postgres has committed. */
  durableSeq: Seq;
  /**
   * Requests that the state shows although Redis is away: they have no place in the order yet. Their objects and messages have
   * provisional seqs above that of the state. Absent: there are none. Load the state again until it is absent.
   */
  spilled?: number;
  objects: WorldObject[];
  users: Avatar[];
  models: Asset[];
  media: Asset[];
  /** The last messages, oldest first. */
  chat: ChatMessage[];
}

/** A whole world from a caller, after the check. Every input form becomes this form. */
export interface WorldInput {
  objects: (ObjectInput & { createdBy: string | null; createdAt: string | null })[];
  /** Absent: the avatars stay as they are. */
  users?: {
    id: string;
    displayName: string;
    avatarUrl: string | null;
    position: Vector3;
    rotation: Quaternion;
    properties: JsonObject;
  }[];
  models: Omit<Asset, 'createdAt'>[];
  media: Omit<Asset, 'createdAt'>[];
  chat: { id: string; userId: string | null; text: string; kind: string; createdAt: string | null }[];
}

export interface SpaceStatistics {
  spaceId: string;
  objects: number;
  users: number;
  models: number;
  media: number;
  chatMessages: number;
  seq: Seq;
  durableSeq: Seq;
  /** Milliseconds by which Postgres is behind the log. */
  durabilityLagMs: number;
  activity: { lastHour: Activity; lastDay: Activity };
  updatedAt: string;
}

/** Activity in a period: its messages, and the existing objects that were written in it. */
export interface Activity {
  objectsChanged: number;
  messages: number;
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export type SaveMode = 'replace' | 'merge';
export type Scope = 'read' | 'write' | 'admin';

export interface ApiKey {
  id: string;
  tenantId: string;
  scopes: Scope[];
  createdAt: string;
  expiresAt: string | null;
  revokedAt: string | null;
}

/** The rights of a person in a space. Each role includes the rights of the roles before it. */
export type Role = 'viewer' | 'editor' | 'owner';

/** A person's stay in one space. */
export interface Session {
  id: string;
  tenantId: string;
  spaceId: string;
  userId: string;
  role: Role;
  expiresAt: string;
  endedAt: string | null;
}
