import type { LogAddress, RawEntry } from '../log/log-stores.ts';
import type { AssetIds } from '../world/asset-references.ts';
import type { KeptChat } from '../world/chat-window.ts';
import type { ReplayAvatar } from '../world/replay.ts';
import type { SnapshotLag } from '../world/snapshot-lag.ts';
import type { Asset, Seq, Space } from '../world/types.ts';

/** A person as other people in a space see them. */
export interface Profile {
  displayName: string;
  avatarUrl: string | null;
}

export interface KnownAssets {
  models: Map<string, Asset | null>;
  media: Map<string, Asset | null>;
}

/** The data of a state besides objects and avatars: the log does not hold it. */
export interface SpaceMetadata {
  /** Moves with every write to any of it. */
  rev: number;
  /** Where Postgres was. */
  seq: Seq;
  /** The people that had an avatar. */
  present: Set<string>;
  space: Omit<Space, 'seq'>;
  /** The profiles of people with an avatar at that time; null: there is no such person. */
  profiles: Map<string, Profile | null>;
  /** The models and media that were saved with the world. */
  saved: AssetIds;
  /** Models and media by id; null: there is no such one. A reader adds what the world references later. */
  assets: KnownAssets;
}

/** A space's world, read at one moment. */
export interface LoadedWorld {
  seq: Seq;
  /** Each as a state shows it, as JSON, by id. */
  objects: Map<string, string>;
  avatars: Map<string, ReplayAvatar>;
  chat: KeptChat;
  metadata: SpaceMetadata;
}

/** The part of Postgres that SpaceState needs. */
export interface StateLoader {
  /**
   * @returns null where there is no such space; `too_large` for one whose objects have more characters than these.
   * @throws state_unsettled, store_unavailable
   */
  loadWorld(address: LogAddress, charactersMax: number): Promise<LoadedWorld | 'too_large' | null>;
  /** Only the metadata of a space. */
  loadMetadata(address: LogAddress): Promise<SpaceMetadata | null>;
  /** The profiles of these people; unknown people are left out. */
  loadProfiles(address: LogAddress, ids: readonly string[]): Promise<Map<string, Profile>>;
  /** These models and media; unknown ones are null. */
  loadAssets(address: LogAddress, ids: AssetIds): Promise<KnownAssets>;
}

/** How fresh what is kept of a tenant's states is: it is shown as long as the tenant's marks are these. */
export interface Marks {
  version: string;
  epoch: string;
  /** When the writes that are under way must have ended, as Redis tells the time in microseconds; '0': none is. */
  pendingUntil: string;
  /** Something is being taken out of the worlds: what is loaded meanwhile may still have it, and is not kept. */
  isErasing: boolean;
}

export interface StateRequest {
  /** The view that the caller holds. */
  held: { incarnation: string; seq: Seq; epoch: string } | null;
  /** Of the one that the caller holds; `own`: it has just loaded one, whatever is kept. */
  metadataId: string | 'own' | null;
  /** Nothing is sent where these are the newest; `any`: the newest are all that is asked for. */
  version: { seq: Seq; rev: number } | 'any' | null;
  /** The world must be at this seq, at least. */
  atLeast: Seq;
  /** To be shown when what was missing is kept. No other reader has it. */
  token: string;
  /** Reads to be counted: from the cache, and with a load. */
  hits: number;
  misses: number;
}

export type StateReply =
  /** Redis knows nothing of the space. */
  | {
      status: 'cold' | 'deleted';
      /** That the caller knew, '' for none. */
      incarnation: string;
      /** The caller is to open the log; else somebody is at it. */
      isChosen: boolean;
    }
  | ({ status: 'same'; seq: Seq; rev: number } & AroundAge)
  /** Too large for a snapshot. */
  | { status: 'large'; last: Seq; committed: Seq }
  | {
      status: 'missing';
      incarnation: string;
      world: boolean;
      metadata: boolean;
      /** The caller is to load it; else somebody is at it. */
      isChosen: boolean;
      last: Seq;
      committed: Seq;
      marks: Marks;
    }
  | ({
      status: 'state';
      last: Seq;
      committed: Seq;
      /** Null: the caller has it. */
      metadata: { id: string; kept: SpaceMetadata | null };
      /** Null: the caller's own view serves. */
      snapshot: KeptWorld | null;
      /** Behind the snapshot, or the caller's view. */
      entries: RawEntry[];
      /** By how much the snapshot in Redis is behind the log; null where there is none. */
      behind: Omit<SnapshotLag, 'objects'> | null;
    } & AroundAge);

interface AroundAge {
  incarnation: string;
  marks: Marks;
  /** The metadata will expire soon: the caller loads it again after its answer. */
  renewsMetadata: boolean;
}

/** A world as a snapshot keeps it. */
export interface KeptWorld {
  seq: Seq;
  /** When Postgres was read for it, in milliseconds since 1970. */
  loadedMs: number;
  objects: Map<string, string>;
  avatars: Map<string, ReplayAvatar>;
  chat: KeptChat;
}

/** The part of Redis that SpaceState needs. @throws store_unavailable */
export interface StateStore {
  /** One command. */
  read(address: LogAddress, request: StateRequest): Promise<StateReply>;
  /**
   * Keeps a world, unless a newer one is kept. `token` is of the reader who was to load it; null: of nobody. `isRenewed`: only
   * where one is kept, and no longer than that was to be.
   */
  keepWorld(
    address: LogAddress,
    incarnation: string,
    kept: { world: KeptWorld; marks: Marks; token: string | null; isRenewed?: boolean },
  ): Promise<boolean>;
  keepMetadata(
    address: LogAddress,
    incarnation: string,
    kept: { metadata: SpaceMetadata; marks: Marks },
  ): Promise<void>;
  /** Replaces cached metadata by the same with more people, models and media, unless other metadata is cached now. */
  completeMetadata(
    address: LogAddress,
    incarnation: string,
    kept: { id: string; metadata: SpaceMetadata },
  ): Promise<void>;
  keepLarge(address: LogAddress, incarnation: string, seq: Seq): Promise<void>;
  /** Ends the role of the loading reader, with or without success. */
  endLoading(address: LogAddress, incarnation: string, token: string): Promise<void>;
  /** @returns whether the caller is to renew the space's snapshot: one does at a time. */
  beginRenewing(address: LogAddress, incarnation: string): Promise<boolean>;
  endRenewing(address: LogAddress, incarnation: string): Promise<void>;
  /** A write to what no log holds begins, and lasts so long at most; null: it has ended. */
  markTenant(tenantId: string, options: { pendingMs: number | null; erases: boolean }): Promise<void>;
}
