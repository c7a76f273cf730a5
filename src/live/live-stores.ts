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

/** The logs, for who follows them. */
export interface ChangesStore {
  /** One command, where the space's incarnation is known here. */
  readChanges(address: LogAddress, request: ReadChangesRequest): Promise<ChangesOutcome>;
}

export interface LiveHandlers {
  /** What was published, as it was. */
  onMessage: (text: string) => void;
  /** The subscription was lost; it is not made again by itself. Not called after `close`. */
  onEnd: () => void;
}

export interface LiveSubscription {
  close(): void;
}

/** What is published of the spaces. */
export interface LiveSource {
  /** Resolves when the subscription holds: what is published from then on is heard, in its order, until it ends. */
  subscribe(address: LogAddress, incarnation: string, handlers: LiveHandlers): Promise<LiveSubscription>;
}

/** One open stream's place among those that a space and a principal may have. */
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

/** Who is in a space. A stream that is open is a sign of life of its session. */
export interface PresenceHook {
  touch(stay: LogAddress & { sessionId: string; userId: string }): Promise<void>;
  /** Looks for those who have gone silent. */
  sweep(address: LogAddress): Promise<unknown>;
}
