import type { LogAddress, RawEntry } from '../log/log-stores.ts';
import type { Seq } from '../world/types.ts';

export interface ReadChangesRequest {
  /** Entries behind this seq; null: none, only where the log ends. */
  after: Seq | null;
  /** Of operations; one entry is read at least. */
  bytesMax: number;
  entriesMax: number;
  /** The log told the caller that it was there. */
  seen?: { incarnation: string; seq: Seq };
}

export type ChangesOutcome =
  | {
      status: 'read';
      incarnation: string;
      /** Where the log ends. */
      last: Seq;
      /** Where Postgres is, as far as Redis has heard. */
      committed: Seq;
      entries: RawEntry[];
    }
  /** Redis knows nothing of the space. */
  | { status: 'cold' }
  | { status: 'deleted'; incarnation: string };

/** The logs, as followers read them. */
export interface ChangesStore {
  /** One command, where the space's incarnation is known here. */
  readChanges(address: LogAddress, request: ReadChangesRequest): Promise<ChangesOutcome>;
}

export interface LiveHandlers {
  /** A published message, unchanged. */
  onMessage: (text: string) => void;
  /** The subscription was lost; it is not made again by itself. Not called after `close`. */
  onEnd: () => void;
}

export interface LiveSubscription {
  close(): void;
}

/** The messages that spaces publish. */
export interface LiveSource {
  /** Resolves when the subscription holds: what is published from then on is heard, in its order, until it ends. */
  subscribe(address: LogAddress, incarnation: string, handlers: LiveHandlers): Promise<LiveSubscription>;
}

/** The place of one open stream. A space and a principal have a limited number. */
export interface StreamPlace extends LogAddress {
  streamId: string;
  /** Whose it is, in all spaces of the tenant. */
  principal: string;
  spaceMax: number;
  principalMax: number;
}

/** Which streams are open, over the whole deployment. */
export interface StreamPlaces {
  /** Takes a place, or holds on to it, for `leaseMs`. */
  take(place: StreamPlace, leaseMs: number): Promise<'taken' | 'space_full' | 'principal_full'>;
  release(place: StreamPlace): Promise<void>;
}

/** The people in a space. A heartbeat of an open stream counts for its session. */
export interface PresenceHook {
  touch(stay: LogAddress & { sessionId: string; userId: string }): Promise<void>;
  /** Removes people who have gone silent. */
  sweep(address: LogAddress): Promise<unknown>;
}
