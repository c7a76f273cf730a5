import { encodeEntries } from '../world/check-operations.ts';
import { coalesceOperations } from '../world/coalesce.ts';
import { AppError, notFound } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { countOperations, expandOperations, isMove, movesOnly, packMoves } from '../world/move.ts';
import type { AppendedOperation, Operation, OperationResult, StageOperation } from '../world/operation.ts';
import { readChatRule } from '../world/schemas.ts';
import type { JsonObject, Role, SaveMode, Seq, WrittenObject } from '../world/types.ts';
import { UNCOUNTED } from './append-corrections.ts';
import type { Drain } from './drain.ts';
import { type OwnLog, readEntry } from './log-reader.ts';
import type {
  AppendOutcome,
  AppendRequest,
  BacklogLimits,
  BudgetLeft,
  DrainStore,
  LogAddress,
  LogStats,
  LogStore,
  OpenedLog,
} from './log-stores.ts';
import { COMMIT_WAIT_MS_MAX, pollUntilCommitted } from './poll-until-committed.ts';
import { findPosted } from './posted-messages.ts';
import { backlogFull, chatRefused, keyReused, overBudget } from './refusals.ts';
import type { KeptRequest } from './spill-store.ts';

export type * from './log-stores.ts';

/** The place and the author of an append. */
export interface LogTarget extends LogAddress {
  actor: string | null;
  /** Of the request, for the audit. */
  requestId?: string | undefined;
}

export interface AppendOptions {
  /** Whose idempotency keys and budget these are; null: neither is kept. */
  principal: string | null;
  idempotency?: Idempotency | null;
  /** The key of an append for which the caller gave none. It is known for `LIMITS.appendKeySeconds`. */
  serverKey?: string;
  /** The caller's role in the space, which decides whether it may post messages; null: an API key. */
  role?: Role | null;
  /** Of a single put or patch: `CommittedOperations.written` is the object as the operation left it. */
  returnsObject?: boolean;
  /** Neighbours that only move are written as one move. */
  packsMoves?: boolean;
  /** Told what is left, also before a refusal. */
  onBudget?: (left: BudgetLeft) => void;
  /** Keeps work going that the answer does not wait for. */
  defer: Defer;
}

/** The keys by which a retry of an append is recognised. */
export interface Idempotency {
  /** Of the whole request; null: it has none. */
  key: string | null;
  /** The callers' ids of the posted messages: each counts as another key. */
  messageIds?: readonly string[];
  /** Of the body: the same key with another body is refused. */
  fingerprint: string;
}

export type Defer = (work: Promise<unknown>) => void;

export interface Queued {
  status: 'queued';
  /** Of the first entry; absent where the answer was not waited for any longer. */
  firstSeq?: Seq;
  /** Of the last entry. */
  seq: Seq;
  accepted: number;
  /** The ids of the posted messages, in order: of the first answer, if this is a repeat. */
  messageIds?: readonly string[];
}

export interface CommittedOperations {
  status: 'committed';
  seq: Seq;
  accepted: number;
  messageIds?: readonly string[];
  /** One an operation, in their order. */
  results: OperationResult[];
  /** Null where it was not asked for, or the operation was not applied. */
  written?: WrittenObject | null;
}

type Appended = Extract<AppendOutcome, { status: 'appended' }>;

export interface SpaceLogOptions {
  /** Milliseconds since 1970. */
  now: () => number;
  /** Resolves after so many milliseconds, or when it is not waited for any more. */
  pause: (ms: number, signal?: AbortSignal) => Promise<void>;
  idempotencyTtlSeconds: number;
  requestsPerMinute: number;
  updatesPerMinute: number;
  /** Messages of one person in a space; 0: not counted. */
  messagesPerMinute: number;
  backlog: BacklogLimits;
  /** Every write waits for its own drain. */
  commitsAlways: boolean;
  /** Moves are written into the audit too. */
  auditsMoves?: boolean;
}

const COLD_TRIES_MAX = 3;
/** Milliseconds for which what Redis says of evicting is believed. */
const FAULT_KNOWN_MS = 60_000;

/**
 * The only way into the order of a space. An append is one Redis command, however many operations it has. An appended operation is
 * `queued`, and `committed` after its drain.
 */
export class SpaceLog {
  readonly #redis: LogStore;
  readonly #postgres: DrainStore;
  readonly #drain: Pick<Drain, 'run'>;
  readonly #options: SpaceLogOptions;
  #faultKnownUntilMs = 0;

  constructor(redis: LogStore, postgres: DrainStore, drain: Pick<Drain, 'run'>, options: SpaceLogOptions) {
    this.#redis = redis;
    this.#postgres = postgres;
    this.#drain = drain;
    this.#options = options;
  }

  /** Whether every write waits, asked for or not. */
  get commitsAlways(): boolean {
    return this.#options.commitsAlways;
  }

  /**
   * Appends operations, checked before, and has them drained after the answer.
   * @throws not_found for a space that is not there; idempotency_key_reused; rate_limited; backlog_full; store_unavailable
   * where it is not known whether they were appended: a repeat under the same key is safe.
   */
  async enqueue(
    target: LogTarget,
    operations: readonly AppendedOperation[],
    options: AppendOptions,
  ): Promise<Queued> {
    const entries = encodeEntries(shorten(operations, options));
    const request = this.#request(target, entries, operations, false, options);
    const appended = await this.#append(target, request, operations, options);
    const { firstSeq, seq, accepted, messageIds, drainAfterMs, token } = appended;
    if (drainAfterMs !== null) options.defer(this.#drainAfter(target, drainAfterMs, token));
    return { status: 'queued', firstSeq, seq, accepted, ...named(messageIds) };
  }

  /**
   * The same, answered when it has committed, with what became of each operation; after 8 s `queued`.
   * @throws as `enqueue` does
   */
  async commit(
    target: LogTarget,
    operations: readonly AppendedOperation[],
    options: AppendOptions,
  ): Promise<Queued | CommittedOperations> {
    const sent = options.packsMoves ? packMoves(expandOperations(operations)) : operations;
    const outcome = await this.#commit(target, encodeEntries(sent), operations, options);
    if (!options.returnsObject || outcome.status === 'queued' || outcome.results[0]?.status !== 'applied')
      return outcome;
    const written = await unlessAway(this.#postgres.readWritten(target, outcome.seq));
    if (written !== 'away' && written !== null) return { ...outcome, written };
    // The applied object is not stored any more: the answer claims only what is known.
    return { status: 'queued', seq: outcome.seq, accepted: outcome.accepted };
  }

  /** Makes a staged world the space's: an entry of its own, answered when it has committed. */
  async commitStage(
    target: LogTarget,
    { stageId, mode }: { stageId: string; mode: SaveMode },
    options: AppendOptions,
  ): Promise<Queued | CommittedOperations> {
    const stage: StageOperation = { op: 'stage', id: stageId, mode };
    return this.#commit(target, [{ ops: JSON.stringify([stage]), count: 1 }], [stage], options);
  }

  /** Has Redis know of the space's log, if it does not yet. @throws not_found, store_unavailable */
  async open(address: LogAddress): Promise<void> {
    const nothing = { ...UNCOUNTED, actor: null, entries: [] };
    const seen = await this.#redis.append(address, { ...nothing, opened: null });
    if (seen.status !== 'cold' && seen.status !== 'deleted') return;
    const opened = await this.#open(address, seen.status === 'deleted' || seen.isLogAbsent);
    if (seen.status === 'deleted' && opened.incarnation === seen.incarnation) throw notFound('this space');
    await this.#redis.append(address, { ...nothing, opened });
  }

  /** The log's end, and the oldest entry that Postgres does not have; each null where there is none. */
  async readEnds(address: LogAddress): Promise<{ last: Seq | null; oldestSeq: Seq | null }> {
    const { last, oldestSeq } = await this.#redis.readBacklog(address);
    return { last, oldestSeq };
  }

  /** The space was deleted: what its log still held went with it. */
  async retire(address: LogAddress, incarnation: string): Promise<void> {
    await this.#redis.retire(address, incarnation);
  }

  /** Tells the log of new settings. While Redis is away, they count a minute after its return, like other metadata. */
  async applySettings(address: LogAddress, settings: JsonObject): Promise<void> {
    await unlessAway(this.#redis.setChat(address, readChatRule(settings)));
  }

  async readStats(tenantId: string): Promise<LogStats> {
    return this.#redis.readStats(tenantId);
  }

  /** The log's end, null where Redis knows of none, and for how long the oldest entry not committed has waited. */
  async readLag(address: LogAddress): Promise<{ seq: Seq | null; durabilityLagMs: number }> {
    const { last, oldestSeq } = await this.#redis.readBacklog(address);
    const waitedMs = oldestSeq === null ? 0 : this.#options.now() - oldestSeq / 1_000;
    return { seq: last, durabilityLagMs: Math.max(0, waitedMs) };
  }

  /** Why nothing may be queued into this Redis, or cannot be, or null. */
  async findFault(): Promise<'evicts' | 'full' | null> {
    const [fault, isFull] = await Promise.all([this.#redis.findFault(), this.#redis.isFull()]);
    return fault ?? (isFull ? 'full' : null);
  }

  async #commit(
    target: LogTarget,
    entries: AppendRequest['entries'],
    operations: readonly (AppendedOperation | StageOperation)[],
    options: AppendOptions,
  ): Promise<Queued | CommittedOperations> {
    const { now, pause } = this.#options;
    const { returnsObject = false } = options;
    const request = this.#request(target, entries, operations, true, options);
    const appended = await this.#append(target, request, operations, options);
    const { firstSeq, seq, accepted, messageIds, drainAfterMs, token, isRepeat } = appended;
    const endMs = now() + COMMIT_WAIT_MS_MAX;
    const queued: Queued = { status: 'queued', seq, accepted, ...named(messageIds) };
    const own = new Map<Seq, OperationResult[]>();
    const committed = (found: Map<Seq, OperationResult[]>): CommittedOperations => ({
      status: 'committed',
      seq,
      accepted,
      ...named(messageIds),
      results: [...found.keys()].sort((a, b) => a - b).flatMap((at) => found.get(at) ?? []),
    });

    let draining: Promise<void> | null = null;
    /** Resolves when the drain is past what was appended, or has ended; `draining` when it has ended. */
    const startDrain = (ownToken: string | null): Promise<void> => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const run = this.#drain.run(target, {
        token: ownToken,
        budgetMs: LIMITS.drainMsMax,
        own: ownToken === null ? null : readOwn(request, entries, appended, returnsObject),
        onResults: (results, to) => {
          for (const result of results)
            if (result.seq >= firstSeq && result.seq <= seq) own.set(result.seq, result.results);
          if (to >= seq) resolve();
        },
      });
      // Its failure is told by the drain itself; what was appended stays queued, and somebody else's drain may commit it.
      const ended = run.then(
        () => resolve(),
        () => resolve(),
      );
      draining = ended;
      options.defer(ended);
      return promise;
    };

    if (drainAfterMs !== null) {
      const waiting = new AbortController();
      const late = pause(COMMIT_WAIT_MS_MAX, waiting.signal).then(() => 'late' as const);
      const how = await Promise.race([startDrain(token), late]);
      waiting.abort();
      if (how === 'late') return queued;
      if (countResults(own) === accepted) return committed(own);
    }
    const found = await pollUntilCommitted({
      now,
      pause,
      endMs,
      // Entries stay in the log, and are committed when Postgres returns.
      look: () => unlessAway(this.#postgres.readResults(target, firstSeq, seq)),
      drain: () => startDrain(null),
      draining,
    });
    if (found === 'late' || found === 'away') return queued;
    if (countResults(found) === accepted) return committed(found);
    // Nobody waited the first time, or it is too long ago: the answer then was this.
    if (isRepeat) return queued;
    throw new AppError('store_unavailable', 'It is not known what became of the operations.', {
      retryAfterSeconds: 1,
    });
  }

  async #drainAfter(target: LogTarget, ms: number, token: string): Promise<void> {
    await this.#options.pause(ms);
    // The drain tells of its own failure, and nobody here waits for it.
    await this.#drain.run(target, { token, budgetMs: LIMITS.drainMsMax }).catch(() => undefined);
  }

  #request(
    target: LogTarget,
    entries: AppendRequest['entries'],
    operations: readonly (AppendedOperation | StageOperation)[],
    waits: boolean,
    { principal, idempotency = null, serverKey, role = null, returnsObject = false }: AppendOptions,
  ): AppendRequest {
    const { idempotencyTtlSeconds, requestsPerMinute, updatesPerMinute, messagesPerMinute, backlog } =
      this.#options;
    const isCounted = requestsPerMinute > 0 || updatesPerMinute > 0;
    return {
      actor: target.actor,
      requestId: this.findRequestId(target, operations),
      entries,
      waits,
      returnsObject,
      backlog,
      opened: null,
      idempotency:
        principal !== null && idempotency !== null
          ? { principal, ...idempotency, ttlSeconds: idempotencyTtlSeconds }
          : serverKey !== undefined
            ? { principal: '', key: serverKey, fingerprint: '', ttlSeconds: LIMITS.appendKeySeconds }
            : null,
      chat: findPosted(operations, { role, perMinute: messagesPerMinute }),
      budget: principal === null || !isCounted ? null : { principal, requestsPerMinute, updatesPerMinute },
    };
  }

  /** The id of a request in its entries. A move that is not audited needs none, and there are many. */
  findRequestId(
    { requestId }: LogTarget,
    operations: readonly (AppendedOperation | StageOperation)[],
  ): string | undefined {
    return this.#options.auditsMoves || !operations.every(movesOnly) ? requestId : undefined;
  }

  /**
   * Appends a spilled request under its key, and begins the time of the key again. It was accepted before, so no budget counts. The
   * caller drains.
   * @throws not_found if its incarnation of the space is not there any more; idempotency_key_reused; backlog_full; store_unavailable
   */
  async appendSpilled(
    address: LogAddress,
    {
      actor,
      requestId,
      principal,
      key,
      messageIds,
      fingerprint,
      entries,
      postedIds,
      incarnation,
    }: Omit<KeptRequest, 'spillId'>,
  ): Promise<{ seq: Seq; isRepeat: boolean }> {
    const { backlog, idempotencyTtlSeconds } = this.#options;
    const request: AppendRequest = {
      ...UNCOUNTED,
      opened: null,
      actor,
      requestId: requestId ?? undefined,
      entries,
      backlog,
      idempotency: {
        principal,
        key,
        messageIds,
        fingerprint,
        ttlSeconds: Math.max(idempotencyTtlSeconds, LIMITS.appendKeySeconds),
      },
      chat: { ids: postedIds, people: new Map(), role: null, isAccepted: true, perMinute: 0 },
      onlyIncarnation: incarnation,
    };
    const { seq, isRepeat } = await this.#append(address, request, [], {});
    return { seq, isRepeat };
  }

  async #append(
    { tenantId, spaceId }: LogAddress,
    request: AppendRequest,
    operations: readonly (AppendedOperation | StageOperation)[],
    { onBudget }: Pick<AppendOptions, 'onBudget'>,
  ): Promise<Appended> {
    const address = { tenantId, spaceId };
    await this.#refuseFaulty();
    for (let tries = 0; tries < COLD_TRIES_MAX; tries++) {
      const outcome = await this.#redis.append(address, request);
      switch (outcome.status) {
        case 'appended':
          if (outcome.budget !== null) onBudget?.(outcome.budget);
          // As many as were sent, now and the first time: some may have been one in the log.
          return { ...outcome, accepted: countOperations(operations) };
        case 'cold':
          request.opened = await this.#open(address, outcome.isLogAbsent);
          break;
        case 'deleted':
          request.opened = await this.#open(address, true);
          if (request.opened.incarnation === outcome.incarnation) throw notFound('this space');
          break;
        case 'replaced':
          // Redis may be the one that is behind: Postgres decides.
          request.opened = await this.#open(address, true);
          if (request.opened.incarnation !== request.onlyIncarnation) throw notFound('this space');
          break;
        case 'over_budget':
          onBudget?.(outcome.budget);
          throw overBudget(outcome, this.#options);
        case 'key_reused':
          throw keyReused();
        case 'no_chat':
          throw chatRefused(outcome.rule);
        case 'backlog_full':
          throw backlogFull(outcome);
      }
    }
    throw new AppError('store_unavailable', 'The space cannot be written to now.', { retryAfterSeconds: 1 });
  }

  async #open(address: LogAddress, isLogAbsent: boolean): Promise<OpenedLog> {
    const instance = await this.#redis.readInstance();
    const opened = await this.#postgres.openLog(address, { instance, isLogAbsent });
    if (opened === null) throw notFound('this space');
    return opened;
  }

  /** A Redis that evicts would lose what is queued: nothing is. Asked once a minute, so that an append stays one command. */
  async #refuseFaulty(): Promise<void> {
    const { now } = this.#options;
    if (now() < this.#faultKnownUntilMs) return;
    if ((await this.#redis.findFault()) !== null)
      throw new AppError(
        'store_unavailable',
        'Redis is set to evict, and would lose what is queued: its maxmemory-policy must be noeviction.',
        { retryAfterSeconds: 30 },
      );
    this.#faultKnownUntilMs = now() + FAULT_KNOWN_MS;
  }
}

/** Moves stay as they are: what is in columns already is short. */
export function shorten(
  operations: readonly AppendedOperation[],
  { packsMoves }: Pick<AppendOptions, 'packsMoves'>,
): readonly AppendedOperation[] {
  if (operations.some(isMove)) return operations;
  const coalesced = coalesceOperations(operations as readonly Operation[]);
  return packsMoves ? packMoves(coalesced) : coalesced;
}

async function unlessAway<T>(read: Promise<T>): Promise<T | 'away'> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof AppError && error.code === 'store_unavailable') return 'away';
    throw error;
  }
}

/** The log as the append left it, where it is no more than that. */
function readOwn(
  { actor, requestId }: AppendRequest,
  entries: AppendRequest['entries'],
  { after, firstSeq, incarnation }: Appended,
  returnsObject: boolean,
): OwnLog | null {
  if (after === null) return null;
  return {
    incarnation,
    after,
    // One script gave them their seqs, each the next.
    entries: entries.map(({ ops }, i) => {
      const prev = i === 0 ? after : firstSeq + i - 1;
      return readEntry({
        ...{ seq: firstSeq + i, prev, actor, ops, waits: true, returnsObject },
        ...(requestId !== undefined && { requestId }),
      });
    }),
  };
}

function countResults(results: Map<Seq, OperationResult[]>): number {
  let count = 0;
  for (const list of results.values()) count += list.length;
  return count;
}

function named(messageIds: readonly string[]): Pick<Queued, 'messageIds'> {
  return messageIds.length === 0 ? {} : { messageIds };
}
