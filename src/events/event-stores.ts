import type { Seq } from '../world/types.ts';

/** An event on its way to the log. */
export interface EventText {
  /** The id that its caller gave it; null: its caller gave none. */
  callerId: string | null;
  /** `{id, type, space, user, at, data}` as JSON. */
  text: string;
}

export interface AppendedEvents {
  accepted: number;
  duplicates: number;
  /** By the limit that they exceeded, or because the memory of Redis is full. */
  dropped: { backlog: number; tenantBacklog: number; memory: number };
  /** The drain that this append claimed; null: another has the claim. */
  drain: { token: string; afterMs: number } | null;
}

/** Entries of the log in their order, behind `settled`. */
export interface EventEntries {
  status: 'read';
  /** A log that Redis lost is followed by one with another name. */
  name: string;
  /** The seq up to which Redis knows the log to be in Postgres. */
  settled: Seq;
  entries: EventEntry[];
}

export interface EventEntry {
  /** The microsecond in which it was appended, unless the log had that seq already. */
  seq: Seq;
  tenantId: string;
  /** A list of events as JSON. */
  events: string;
}

/** The log of events in Redis. Every method is one command, and rejects with store_unavailable. */
export interface EventLogStore {
  /** @param sender the ids of persons and of servers are remembered apart */
  append(
    tenantId: string,
    events: readonly EventText[],
    sender?: 'server' | 'person',
  ): Promise<AppendedEvents>;
  /** @param token of a drain that was claimed; null: a drain without a claim. */
  read(
    token: string | null,
    limits: { bytesMax: number; eventsMax: number },
  ): Promise<EventEntries | { status: 'empty' | 'relieved' }>;
  /** @param settled its `ends`: the drain ends here even if something is pending. */
  settle(settled: {
    name: string;
    cursor: Seq;
    token: string | null;
    ends: boolean;
  }): Promise<{ isEmpty: boolean }>;
}

export interface EventBatch {
  /** The part of a log that the entries are; null: they come from none. */
  log: { name: string; from: Seq; to: Seq } | null;
  /** With the seq as the time of acceptance; without one, they are accepted now. */
  entries: readonly (Omit<EventEntry, 'seq'> & { seq: Seq | null })[];
}

/** Events in Postgres. */
export interface EventTable {
  /** One transaction with the cursor of the log. `moved`: the log is beyond `from` already, and nothing was stored. */
  storeEvents(
    batch: EventBatch,
  ): Promise<{ status: 'stored'; stored: number; refused: number } | { status: 'moved'; cursor: Seq }>;
}
