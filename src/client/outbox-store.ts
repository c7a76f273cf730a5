import type { Operation } from '../world/operation.ts';

/** A part of an unsent queue, as plain JSON. */
export interface OutboxRecord {
  /** The place of its first operation in the queue. Each operation has a place. */
  n: number;
  ops: Operation[];
  /** The request that sends `ops`. It never changes, because its key allows only the same body again. */
  request?: OutboxRequest;
}

export interface OutboxRequest {
  key: string;
  body: string;
  /** When it was sent first, in milliseconds since 1970. */
  sentMs: number;
  /** The seq that the client had reached then. */
  afterSeq: number;
}

/** Where operations wait until the server has them. */
export interface OutboxStore {
  /** Everything that an earlier client left, in order of `n`. Called once, and first. */
  open(): Promise<OutboxRecord[]>;
  /** Removes records, then sets records, all or nothing. */
  write(set: OutboxRecord[], remove: number[]): Promise<void>;
  /**
   * Takes over what clients left that have ended since. Absent: no other client uses the store.
   * @param next the first free place. @returns the taken records, with places from `next`
   */
  adopt?(next: number): Promise<OutboxRecord[]>;
  /** The client ends. Its records stay for the next client. */
  close(): void;
}

/** Keeps operations in memory: they are lost with the process. */
export function createMemoryStore(): OutboxStore {
  return { open: async () => [], write: async () => undefined, close: () => undefined };
}
