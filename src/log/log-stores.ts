import type { Batch, BatchOutcome, DeadOperation, Incident, NoEffect } from '../world/batch.ts';
import type { OperationResult } from '../world/operation.ts';
import type { SnapshotLag } from '../world/snapshot-lag.ts';
import type {
  ChatRule,
  JsonObject,
  Role,
  SaveMode,
  Seq,
  WorldObject,
  WrittenObject,
} from '../world/types.ts';

/** A space's place in the stores. */
export interface LogAddress {
  tenantId: string;
  spaceId: string;
}

export interface AppendRequest {
  actor: string | null;
  /** Of the caller's request, for the audit; absent where entries only move what is there. */
  requestId?: string | undefined;
  /** Each at most `LIMITS.entryBytesMax`: the JSON text of a list of operations, and how many there are. */
  entries: readonly { ops: string; count: number }[];
  /** A caller waits for the outcome: it drains immediately if no drain runs. */
  waits: boolean;
  /** The waiting caller also needs the object as the one operation leaves it; see `DrainStore.readWritten`. */
  returnsObject?: boolean;
  /**
   * A repeat within `ttlSeconds` under the same key (or id of a message) and principal gives the first answer and
   * changes nothing.
   */
  idempotency: {
    principal: string;
    key: string | null;
    /** The callers' ids of posted messages. */
    messageIds?: readonly string[];
    fingerprint: string;
    ttlSeconds: number;
  } | null;
  /** The messages that the entries post; absent: none. */
  chat?: PostedMessages | null;
  /** The budget of the principal in this space, per minute; 0: not counted. */
  budget: { principal: string; requestsPerMinute: number; updatesPerMinute: number } | null;
  backlog: BacklogLimits;
  /** The answer of Postgres about the space, after `cold` or `deleted`. */
  opened: OpenedLog | null;
  /** Only where the log ends at this seq: nothing comes between that and these entries. */
  endsAt?: Seq | null;
  /** Only into the log of this incarnation: a spilled request is gone with its space. */
  onlyIncarnation?: string;
}

export interface PostedMessages {
  /** The ids of the messages, in order. */
  ids: readonly string[];
  /** The number of messages of each person. */
  people: ReadonlyMap<string, number>;
  /** The caller's role; null: an API key, which may post unless chat is off. */
  role: Role | null;
  /** Whether they may be posted was decided before. */
  isAccepted?: boolean;
  /** Messages of one person in a space per minute; 0: not counted. */
  perMinute: number;
}

export interface BacklogLimits {
  bytesMax: number;
  entriesMax: number;
  ageMsMax: number;
}

export interface OpenedLog {
  incarnation: string;
  /** Rises with every incarnation of the space. */
  incarnationSeq: Seq;
  /** The seq that Postgres is at: no seq is given again at or below it. */
  cursor: Seq;
  /** The lowest role that may post messages; `viewer` by default. */
  chat?: ChatRule;
  /** The log was open before; `lost`: an incident says now that it was lost. Absent: it was not open. */
  reopened?: 'open' | 'lost';
}

/** Where Postgres is, in this incarnation of the space; null: it knows no such space; `away`: it does not answer. */
export type FindCursor = (address: LogAddress, incarnation: string) => Promise<Seq | null | 'away'>;

/** The rest of a budget, and the milliseconds until it is whole again. */
export interface BudgetLeft {
  requests: { remaining: number; resetMs: number };
  updates: { remaining: number; resetMs: number };
}

export type AppendOutcome =
  | {
      status: 'appended';
      /** The seq of the first entry and of the last. */
      firstSeq: Seq;
      seq: Seq;
      accepted: number;
      /** This is the first answer once more: nothing was appended now. */
      isRepeat: boolean;
      /** The ids of the posted messages. */
      messageIds: readonly string[];
      incarnation: string;
      /** Milliseconds after which the caller is to drain; null: somebody is at it. */
      drainAfterMs: number | null;
      /** To be shown when draining: who drains without the newest token has been relieved. */
      token: string;
      /** Nothing else waits to be committed: these entries are the whole log behind this seq. Else null. */
      after: Seq | null;
      budget: BudgetLeft | null;
    }
  /** Redis knows nothing of the space: nothing was written; repeat with `opened`. */
  | { status: 'cold'; isLogAbsent: boolean }
  /** The space was deleted when its incarnation was this: repeat with `opened` if Postgres knows a newer one. */
  | { status: 'deleted'; incarnation: string }
  /** The space has another incarnation than `onlyIncarnation`: nothing was written. */
  | { status: 'replaced' }
  /** The log does not end at `endsAt` any more: nothing was written. */
  | { status: 'ahead' }
  | { status: 'key_reused' }
  /** The caller may not post messages in this space. */
  | { status: 'no_chat'; rule: ChatRule }
  | {
      status: 'over_budget';
      kind: 'requests' | 'updates' | 'messages';
      retryAfterMs: number;
      budget: BudgetLeft;
    }
  | { status: 'backlog_full'; kind: 'bytes' | 'entries' | 'age'; actual: number; max: number };

export interface RawEntry {
  seq: Seq;
  prev: Seq;
  actor: string | null;
  requestId?: string;
  /** JSON text. */
  ops: string;
  count: number;
  waits: boolean;
  returnsObject?: boolean;
}

export interface ReadRequest {
  /** Entries behind this seq; null: behind what Redis believes is committed. */
  after: Seq | null;
  /** The incarnation whose log was at `after`. */
  incarnation?: string;
  /** Null: a drain without a claim. */
  token: string | null;
  bytesMax: number;
  entriesMax: number;
}

export type ReadOutcome =
  | {
      status: 'read';
      incarnation: string;
      after: Seq;
      last: Seq;
      entries: RawEntry[];
      /** The newest break in the log: a seq that no entry has, where entries before it were lost or may have been. */
      tear: LogTear | null;
      /** Where the log ended when Redis restarted while entries waited; 0: never. */
      restartedAt: Seq;
    }
  | { status: 'cold' }
  | { status: 'deleted'; incarnation: string }
  /** Another drain has taken over. */
  | { status: 'relieved' };

export interface LogTear {
  at: Seq;
  /**
   * `lost`: what was acknowledged is missing. `behind`: Redis came back older than Postgres. `told`: an incident says so
   * already.
   */
  why: 'lost' | 'behind' | 'told';
  /** Of `lost`, the highest seq that is known to be missing. */
  lostTo: Seq;
}

export interface SettleRequest {
  incarnation: string;
  /** Postgres is at this seq. */
  committed: Seq;
  token: string | null;
  /** The next step if entries are left: `stop` releases the claim, `pause` pauses unless a caller waits. */
  next: 'stop' | 'continue' | 'pause';
  /** The operations committed since the last settle. */
  operations: number;
  entries: number;
  bytes: number;
  /** Milliseconds from append to commit, summed over the entries. */
  latencyMsSum: number;
  /** The operations without effect among those committed since the last settle. */
  noEffects?: readonly NoEffect[];
}

export interface NoEffects {
  /** Up to this seq it is known what came of operations; null where Redis does not know the space. */
  committed: Seq | null;
  operations: NoEffect[];
}

export interface Settled {
  last: Seq;
  /** All that is in the log is committed: the space is no longer among the dirty ones. */
  isDrained: boolean;
  /** Milliseconds that the drain is to rest before it reads on, so that more may come. */
  restMs: number;
  /** How far the snapshot is behind the committed log; null without a snapshot. */
  snapshot: SnapshotLag | null;
}

/** The part of Redis that SpaceLog and Drain need. Every method is one command, unless it says otherwise. */
export interface LogStore {
  append(address: LogAddress, request: AppendRequest): Promise<AppendOutcome>;
  /** Names this life of Redis: another one after it lost its memory. */
  readInstance(): Promise<string>;
  /** Whether Redis remembers an idempotency key, or an id of a message, and does so for longer than an append takes. */
  remembersKey(
    address: LogAddress,
    request: { principal: string; key: string; messageIds: readonly string[] },
  ): Promise<boolean>;
  read(address: LogAddress, request: ReadRequest): Promise<ReadOutcome>;
  /** An incident says what is missing, the seqs behind `after` up to `to`: who read the log before begins again. */
  tear(address: LogAddress, missing: { incarnation: string; after: Seq; to: Seq }): Promise<void>;
  /** Postgres was seen to be there: a log that ends before that is found to be too old. No command. */
  noteDurable(address: LogAddress, incarnation: string, cursor: Seq): void;
  settle(address: LogAddress, request: SettleRequest): Promise<Settled>;
  /** The space is deleted: its log goes, and appends are answered `deleted`. */
  retire(address: LogAddress, incarnation: string): Promise<void>;
  /** Tells the log who may post messages. It has no effect while Redis does not know the space. */
  setChat(address: LogAddress, rule: ChatRule): Promise<void>;
  /** The spaces with something to drain, oldest first, and since when (a seq: µs since 1970). Several commands, one round trip. */
  listDirty(limit: number): Promise<(LogAddress & { oldestSeq: Seq })[]>;
  /** Which operations behind this seq came to nothing, as far as they are kept. Two commands, one round trip. */
  readNoEffects(address: LogAddress, after: Seq): Promise<NoEffects>;
  readStats(tenantId: string): Promise<LogStats>;
  /** Of one space: how much is behind the cursor, and the log's end, null where Redis knows of none. */
  readBacklog(address: LogAddress): Promise<Backlog>;
  /** Why nothing may be queued into this Redis (it evicts), or null. */
  findFault(): Promise<'evicts' | null>;
  /** Whether it has almost no memory left for queued entries; false if it does not say. */
  isFull(): Promise<boolean>;
}

export interface Backlog {
  operations: number;
  entries: number;
  bytes: number;
  oldestSeq: Seq | null;
  last: Seq | null;
}

/** How long records are kept that only a later request needs. */
export interface Retention {
  /** Of what became of writes: as long as their keys are known. */
  resultsSeconds: number;
  deadLetterDays: number;
}

export interface LogStats {
  /** Operations committed since the counts began. */
  processed: number;
  /** Of these, the operations that came to nothing: what they name was not there, or their condition did not hold. */
  noEffect: number;
  /** Operations in logs and not committed. */
  queued: number;
  /** Mean milliseconds from append to commit of recent entries. */
  averageLatencyMs: number;
  /** Milliseconds that the oldest operation not yet committed has waited; 0 where there is none. */
  durabilityLagMs: number;
}

/** A reader named a seq that the log does not have. */
export interface ReaderAhead {
  incarnation: string;
  /** The seq that the reader named. */
  seen: Seq;
  /** The log ends here, before that, or continues from here with `next`, behind that. */
  last: Seq;
  next: Seq | null;
}

export interface StagedWorld {
  stageId: string;
  objects: number;
}

/** The part of Postgres that SpaceLog and Drain need. Every method is one transaction, unless it says otherwise. */
export interface DrainStore {
  /** Notes that the space's log lives in this life of Redis; where it lived in another, that it was lost. Null: no such space. */
  openLog(address: LogAddress, redis: { instance: string; isLogAbsent: boolean }): Promise<OpenedLog | null>;
  /** `isLogOpen`: the space is written through a log in Redis, and in no other way. Null: no such space. */
  loadCursor(address: LogAddress): Promise<(OpenedLog & { isLogOpen: boolean }) | null>;
  /** Writes an incident where it can be true, one a space in an hour. @returns null where the space has no such incarnation. */
  noteReaderAhead(address: LogAddress, ahead: ReaderAhead): Promise<{ cursor: Seq; isNoted: boolean } | null>;
  /** The seqs of objects at the cursor; 0 for a missing object. */
  loadSeqs(address: LogAddress, ids: readonly string[]): Promise<{ cursor: Seq; seqs: Map<string, Seq> }>;
  applyBatch(address: LogAddress, batch: Batch): Promise<BatchOutcome>;
  applyStage(address: LogAddress, step: StageStep): Promise<StageOutcome>;
  /** Gives a staged world up: applying it then is `dead`. */
  dropStage(address: LogAddress, stageId: string): Promise<void>;
  /** The outcomes of the entries from `firstSeq` to `seq`; null while the cursor is before `seq`. */
  readResults(address: LogAddress, firstSeq: Seq, seq: Seq): Promise<Map<Seq, OperationResult[]> | null>;
  /**
   * The object as the entry at `seq`, which asked for it, left it; null where it was not applied, or more than
   * `LIMITS.writtenObjectsKeptMs` ago.
   */
  readWritten(address: LogAddress, seq: Seq): Promise<WrittenObject | null>;
  /** Dead operations without a correction in the log. */
  listUncorrected(address: LogAddress, limit: number): Promise<DeadOperation[]>;
  markCorrected(address: LogAddress, deadLetterIds: readonly string[]): Promise<void>;
  /** Removes the records of all tenants that are over their time. @returns how many. */
  sweepAllRecords(retention: Retention): Promise<number>;
  loadObjects(address: LogAddress, ids: readonly string[]): Promise<WorldObject[]>;
  loadAvatars(
    address: LogAddress,
    ids: readonly string[],
  ): Promise<
    {
      id: string;
      position: WorldObject['position'];
      rotation: WorldObject['rotation'];
      properties: JsonObject;
    }[]
  >;
}

export interface StageStep {
  incarnation: string;
  from: Seq;
  to: Seq;
  stageId: string;
  mode: SaveMode;
  actor: string | null;
  requestId?: string | undefined;
  waits: boolean;
  incidents: Incident[];
  /** It is from no log, and is not applied to a space that has one. */
  isDirect?: boolean;
}

export type StageOutcome =
  | { status: 'applied'; objects: number }
  | { status: 'moved'; cursor: Seq; incarnation: string }
  | { status: 'unknown_space' }
  /** The space is written through its log, and the step is direct: nothing was applied. */
  | { status: 'log_open' }
  /** The stage is gone, or cannot be kept: the cursor has moved, and a dead letter says so. */
  | { status: 'dead'; dead: DeadOperation };
