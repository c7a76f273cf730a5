import type { LogEntry } from '../world/operation.ts';
import type { Seq } from '../world/types.ts';
import { readEntry } from './log-reader.ts';
import type { LogAddress } from './log-stores.ts';

/** An entry as an append takes it: the JSON text of its operations, and how many they are. */
export interface SpilledEntry {
  ops: string;
  count: number;
}

/** A request that waits in Postgres for its place in the log. */
export interface SpilledRequest {
  actor: string | null;
  /** Of the caller's request, for the audit. */
  requestId?: string | null;
  principal: string;
  /** The idempotency key, of the caller or made by the server. */
  key: string;
  /** The callers' ids of its messages: each counts as another key. */
  messageIds: readonly string[];
  fingerprint: string;
  entries: readonly SpilledEntry[];
  /** The ids of its messages, in order. */
  postedIds: readonly string[];
}

export interface KeptRequest extends SpilledRequest {
  spillId: number;
  incarnation: string;
  /** Milliseconds since 1970 at which it was spilled. */
  spilledMs: number;
  /** Redis may have run an append of it, and has forgotten the key since: another append could apply it twice. */
  isKeyForgotten: boolean;
  /** Its place in the log, once a return has appended it. Null: none has. */
  appendedSeq: Seq | null;
}

export interface SpillLimits {
  /** Of all rows of a space. */
  bytesMax: number;
  requestsMax: number;
}

/** The rows of `log_spill`. Every method is one transaction. */
export interface SpillStore {
  /**
   * Stores a request.
   * @param keySeconds for how long Redis still remembers the key of an append that was sent; null: none was sent; below 0: it may have
   * forgotten the key
   * @param incarnation only in this incarnation of the space
   * @returns `kept`, also for a key that is there with the same fingerprint, and the ids of the messages as they were first given;
   * null if the space, or that incarnation, is not there
   */
  keep(
    address: LogAddress,
    request: SpilledRequest,
    options: { keySeconds: number | null; limits: SpillLimits; incarnation?: string | undefined },
  ): Promise<{ status: 'kept'; postedIds: readonly string[] } | { status: 'key_reused' | 'full' } | null>;
  /** @returns what `keep` would answer to a repeat; null if the request is not there */
  find(
    address: LogAddress,
    request: SpilledRequest,
  ): Promise<{ status: 'kept'; postedIds: readonly string[] } | { status: 'key_reused' } | null>;
  /** The oldest requests of a space behind `after`, in order: at most so many, and so many bytes (but at least one). */
  list(
    address: LogAddress,
    page: { after?: number; requestsMax: number; bytesMax: number },
  ): Promise<KeptRequest[]>;
  /** Notes that these are about to be appended. Redis remembers their keys for `keySeconds`. */
  noteSent(address: LogAddress, spillIds: readonly number[], keySeconds: number): Promise<void>;
  /** Notes the places of requests in the log. */
  noteAppended(address: LogAddress, places: readonly { spillId: number; seq: Seq }[]): Promise<void>;
  /** Removes requests. */
  remove(address: LogAddress, spillIds: readonly number[]): Promise<void>;
  /** Moves a request to the dead letters, one for each operation. @returns how many; 0 if another process has moved it */
  bury(address: LogAddress, request: KeptRequest): Promise<number>;
  /**
   * Spaces of all tenants with spilled requests, the longest waiting first.
   * @param instance the name of the Redis that would get them. If the log of a space was in another one, it is listed after two minutes
   */
  listSpaces(instance: string, limit: number): Promise<LogAddress[]>;
}

/** Whether a Postgres that has the log up to `cursor` has the request. */
export function isCommitted({ appendedSeq }: KeptRequest, cursor: Seq): boolean {
  return appendedSeq !== null && appendedSeq <= cursor;
}

/** The requests as entries of a log that ends at `after`. Their seqs are provisional: the time at which each was spilled. */
export function readSpilledEntries(requests: readonly KeptRequest[], after: Seq): LogEntry[] {
  let last = after;
  return requests.flatMap(({ actor, entries, spilledMs }) =>
    entries.map(({ ops }) => {
      const prev = last;
      last = Math.max(last + 1, spilledMs * 1_000);
      return readEntry({ seq: last, prev, actor, ops, waits: false });
    }),
  );
}
