import type { StagedWorld } from '../log/log-stores.ts';
import type { WriteTarget } from '../log/world-log.ts';
import type { WorldItem, WorldReader, WorldSelection } from '../world/state-lines.ts';
import type {
  ChatMessage,
  JsonObject,
  Seq,
  Space,
  SpaceInput,
  SpaceStatistics,
  User,
  UserInput,
  WorldInput,
  WorldObject,
  WorldState,
} from '../world/types.ts';

export type { WorldLog, WriteTarget } from '../log/world-log.ts';

/** A condition on an object before a write, from If-Match and If-None-Match. */
export interface Precondition {
  /** The object's seq must be one of these. */
  ifSeq?: readonly Seq[];
  /** `true`: the object must exist (If-Match: *); `false`: it must not (If-None-Match: *). */
  ifExists?: boolean;
}

export interface Saved {
  seq: Seq;
  objects: number;
}

/** The part of a database that PersistenceLayer needs. Every method is one transaction; `src/postgres` satisfies it. */
export interface WorldStore {
  ping(): Promise<void>;
  close(): Promise<void>;
  ensureTenant(tenantId: string): Promise<void>;
  /** `toRetire`: nothing was done; the log of this incarnation, which was deleted, is to be retired first. */
  putSpace(
    tenantId: string,
    spaceId: string,
    input: SpaceInput,
    retired?: string | null,
  ): Promise<{ space: Space; created: boolean } | { toRetire: string }>;
  /** @returns null where there is no such space. */
  updateSpace(tenantId: string, spaceId: string, input: SpaceInput): Promise<Space | null>;
  loadSpace(tenantId: string, spaceId: string): Promise<Space | null>;
  listSpaces(tenantId: string, limit: number, after: string): Promise<{ spaces: Space[]; more: boolean }>;
  /** @returns null where it was not there. */
  deleteSpace(tenantId: string, spaceId: string): Promise<{ incarnation: string } | null>;
  loadObject(tenantId: string, spaceId: string, objectId: string): Promise<WorldObject | null>;
  listObjects(
    tenantId: string,
    spaceId: string,
    limit: number,
    after: string,
  ): Promise<{ objects: WorldObject[]; more: boolean } | null>;
  /** Whether an object or an avatar of the space references it, or it was saved with its world. */
  referencesAsset(tenantId: string, spaceId: string, kind: 'model' | 'media', id: string): Promise<boolean>;
  /** Newest first; null where there is no such space. @param places ids of messages, or seqs */
  listMessages(
    tenantId: string,
    spaceId: string,
    places: { limit: number; before: string | null; after: string | null },
  ): Promise<{ messages: ChatMessage[]; more: boolean } | 'unknown_before' | 'unknown_after' | null>;
  /** @returns null for a message that does not exist, or is deleted. */
  loadMessage(tenantId: string, spaceId: string, id: string): Promise<{ userId: string | null } | null>;
  loadWorld(
    tenantId: string,
    spaceId: string,
    selection: WorldSelection,
  ): Promise<(WorldState & { rev: number }) | null>;
  /** Reads as the parts are asked for; they may throw `state_unsettled` and `not_found`. */
  streamWorld(tenantId: string, spaceId: string, selection: WorldSelection): Promise<WorldReader | null>;
  /** Puts a world where nobody sees it yet, for `WorldLog.commitStage`. */
  stageWorld(target: WriteTarget, world: WorldInput): Promise<StagedWorld | 'unknown_space'>;
  /** The last item is `around`. */
  stageWorldStream(
    target: WriteTarget,
    items: AsyncIterable<WorldItem[]>,
  ): Promise<StagedWorld | 'unknown_space'>;
  upsertUser(tenantId: string, user: UserInput): Promise<{ user: User; created: boolean }>;
  /** @returns null where there is no such person. */
  updateUser(tenantId: string, user: UserInput): Promise<User | null>;
  /** Sorted by id. A page may be empty before the last one. */
  listUsers(
    tenantId: string,
    page: { after: string; search: string; limit: number },
  ): Promise<{ users: User[]; next: string | null }>;
  loadUser(tenantId: string, userId: string): Promise<User | null>;
  /** @returns `objectKey`: the object of the bucket that nothing names any more; null if there was nothing to erase */
  eraseUser(tenantId: string, userId: string): Promise<{ rows: ErasedRows; objectKey: string | null } | null>;
  /** The logs of the tenant's spaces. `isSpilled`: requests wait there for their return. */
  listLogs(tenantId: string): Promise<(TracedLog & { isSpilled: boolean })[]>;
  /** The messages of a person that readers of a log may show. */
  listShownMessages(tenantId: string, userId: string): Promise<{ spaceId: string; ids: string[] }[]>;
  /** A page of one part of the data of a person. @param after the `next` of the page before, '' for the first */
  exportPerson(
    tenantId: string,
    userId: string,
    page: { part: PersonPart; after: string },
  ): Promise<{ items: JsonObject[]; next: string | null }>;
  loadStatistics(tenantId: string, spaceId: string): Promise<SpaceStatistics | null>;
  countTenant(tenantId: string): Promise<TenantCounts>;
  /** The seq and rev of a state, without the state: what its ETag is made of. */
  loadStateVersion(tenantId: string, spaceId: string): Promise<{ seq: Seq; rev: number } | null>;
}

export interface TenantCounts {
  users: number;
  objects: number;
  models: number;
}

/** The numbers of rows that an erasure deleted or changed in Postgres, by kind. */
export interface ErasedRows {
  profiles: number;
  memberships: number;
  sessions: number;
  messages: number;
  events: number;
  days: number;
  deadLetters: number;
  /** Requests that wait for Redis. */
  spilled: number;
  /** 1 if the person had signed objects. */
  authors: number;
  /** Files that only the person's avatarUrl named. */
  files: number;
  /** Rows of the audit. */
  audit: number;
}

/** The same with the keys of Redis that were the person's. */
export interface ErasedPerson extends ErasedRows {
  keys: number;
}

/** The parts of an export of a person, in their order. */
export const PERSON_PARTS = [
  'memberships',
  'sessions',
  'messages',
  'objects',
  'events',
  'days',
  'deadLetters',
  'spilled',
  'audit',
] as const;
export type PersonPart = (typeof PERSON_PARTS)[number];

export interface TracedLog {
  spaceId: string;
  incarnation: string;
}

/** The part of Redis that an erasure needs. Every method may take several commands, and rejects with store_unavailable. */
export interface PersonTraces {
  ping(): Promise<void>;
  /**
   * Looks for the person in the logs of spaces, in presence, and in the notes of operations without effect.
   * @returns the spaces that name the person, and the newest seq of the log that does; null: none does
   */
  find<Log extends TracedLog>(
    tenantId: string,
    logs: readonly Log[],
    userId: string,
  ): Promise<{ log: Log; seq: Seq | null }[]>;
  /** Takes the person out of a space. @returns whether the log up to `seq` was committed, and so is trimmed */
  forget(tenantId: string, log: TracedLog, userId: string, seq: Seq | null): Promise<boolean>;
  /** Removes all copies of the tenant and the keys of the person. @returns the number of the person's keys */
  removeKeys(tenantId: string, userId: string): Promise<number>;
  /** The data that a game server keeps of the person; null: none */
  readSessionData(tenantId: string, userId: string): Promise<string | null>;
}
