import type { Incident } from '../world/batch.ts';
import { countBytes } from '../world/check-operations.ts';
import { LIMITS } from '../world/limits.ts';
import { expandOperations } from '../world/move.ts';
import type { LogEntry } from '../world/operation.ts';
import type { Seq } from '../world/types.ts';
import type { LogAddress, LogStore, LogTear, RawEntry, ReadOutcome } from './log-stores.ts';

export interface ReadEntry extends LogEntry {
  bytes: number;
}

export function readEntry({ ops, ...entry }: Omit<RawEntry, 'count'>): ReadEntry {
  return { ...entry, ops: [...expandOperations(JSON.parse(ops))], bytes: countBytes(ops) };
}

/** The entries of an append, behind `after`: known without reading the log. */
export interface OwnLog {
  incarnation: string;
  after: Seq;
  entries: ReadEntry[];
}

/** The log from Postgres's cursor on, in pieces, the next of which is fetched while the last is applied. */
export class LogReader {
  incarnation = '';
  /** Where Postgres is. */
  cursor: Seq = 0;
  /** Where the log ended when it was last read. */
  last: Seq = 0;
  /** Read, and not applied. */
  entries: ReadEntry[] = [];
  readonly #redis: LogStore;
  readonly #address: LogAddress;
  /** Of the drain that reads. */
  token: string | null;
  /** Behind which to read on; null: where Redis believes that Postgres is. */
  #readTo: Seq | null = null;
  #fetching: Promise<ReadOutcome> | null = null;
  #incidents: Incident[] = [];
  #tear: LogTear | null = null;
  #untold: { after: Seq; to: Seq } | null = null;

  constructor(redis: LogStore, address: LogAddress, token: string | null, own: OwnLog | null = null) {
    this.#redis = redis;
    this.#address = address;
    this.token = token;
    if (own === null) return;
    this.incarnation = own.incarnation;
    this.cursor = own.after;
    this.entries = own.entries;
    this.last = own.entries.at(-1)?.seq ?? own.after;
    this.#readTo = this.last;
  }

  get hasMore(): boolean {
    return this.entries.length > 0 || this.#fetching !== null || (this.#readTo ?? 0) < this.last;
  }

  /** Has entries read, if there are any. */
  async fill(): Promise<'filled' | 'cold' | 'deleted' | 'relieved'> {
    if (this.entries.length > 0) return 'filled';
    const fetching = this.#fetching ?? this.#fetch();
    this.#fetching = null;
    const read = await fetching;
    if (read.status !== 'read') return read.status;
    if (this.#readTo === null) this.cursor = read.after;
    this.incarnation = read.incarnation;
    this.last = read.last;
    this.#tear = read.tear;
    this.#take(read.after, read.entries, read.restartedAt);
    return 'filled';
  }

  /** Begins to fetch what comes behind, where what is to be applied now is all that is held. */
  prefetch(used: number): void {
    if (this.#fetching !== null || used < this.entries.length || (this.#readTo ?? 0) >= this.last) return;
    this.#fetching = this.#fetch();
    // A later caller that awaits it learns of a failure.
    this.#fetching.catch(() => undefined);
  }

  advance(used: number, to: Seq): void {
    this.entries = this.entries.slice(used);
    this.cursor = to;
    if ((this.#readTo ?? 0) < to) this.#readTo = to;
  }

  moveTo(cursor: Seq): 'moved' {
    this.cursor = cursor;
    this.#readTo = cursor;
    this.entries = [];
    this.#incidents = [];
    this.#untold = null;
    this.end();
    return 'moved';
  }

  takeIncidents(): Incident[] {
    const incidents = this.#incidents;
    this.#incidents = [];
    return incidents;
  }

  /** The missing seqs without a break in the log: behind `after`, up to `to`. Null: none. */
  takeUntold(): { after: Seq; to: Seq } | null {
    const untold = this.#untold;
    this.#untold = null;
    return untold;
  }

  /** Abandons a read that is in flight. */
  end(): void {
    this.#fetching = null;
  }

  #fetch(): Promise<ReadOutcome> {
    return this.#redis.read(this.#address, {
      after: this.#readTo,
      incarnation: this.incarnation,
      token: this.token,
      bytesMax: LIMITS.logReadBytesMax,
      entriesMax: LIMITS.logReadEntriesMax,
    });
  }

  /** Each entry names the one before it: where that is not the one that was read, some are missing. */
  #take(after: Seq, raw: readonly RawEntry[], restartedAt: Seq): void {
    let previous = after;
    for (const { count: _, ...entry } of raw) {
      const { seq, prev } = entry;
      if (prev !== previous) this.#miss(previous, prev, seq);
      this.entries.push(readEntry(entry));
      if (seq === restartedAt) this.#incidents.push({ kind: 'redis_restarted', detail: { after: seq } });
      previous = seq;
    }
    this.#readTo = previous;
    if (raw.length === 0 && previous < this.last) {
      this.#miss(previous, this.last, null);
      this.#readTo = this.last;
    }
  }

  #miss(after: Seq, prev: Seq, next: Seq | null): void {
    const tear = this.#tear?.at === prev ? this.#tear : null;
    const why = tear?.why;
    if (why === 'told') return;
    if (why === 'behind') this.#incidents.push({ kind: 'log_lost', detail: { durableSeq: after } });
    else this.#incidents.push({ kind: 'log_gap', detail: { after, prev: tear?.lostTo ?? prev, next } });
    if (tear === null) this.#untold = { after: this.#untold?.after ?? after, to: Math.max(after, prev) };
  }
}
