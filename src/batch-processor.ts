import { type BatchEventResult, BatchEvents } from './batch-events.ts';
import { BATCH_TYPES, type BatchType, readItem, readType } from './batch-input.ts';
import { type AppendAnswer, BatchOutcomes, type NoEffectAt, type ReadNoEffects } from './batch-outcomes.ts';
import { findLane, isPosted, type RoundItem, takeRound } from './batch-rounds.ts';
import type { EventCounts } from './events/event-log.ts';
import { pause } from './helpers/time.ts';
import { AppError } from './world/errors.ts';
import type { WorldEvent } from './world/event.ts';
import type { Operation, OperationStatus } from './world/operation.ts';
import type { Seq } from './world/types.ts';

/** The part of PersistenceLayer that BatchProcessor needs. */
export interface BatchSink {
  forTenant(tenantId: string, actor: string | null, options?: { principal?: string | null }): BatchSink;
  appendOperations(
    input: { ops: Operation[] },
    options: {
      spaceId?: string;
      idempotency?: { key: string; fingerprint: string };
      packsMoves?: boolean;
    },
  ): Promise<AppendAnswer>;
  appendEvents(input: { events: WorldEvent[] }): Promise<EventCounts>;
}

export interface BatchOptions {
  tenantId: string;
  /** The space of operations that name none. */
  spaceId: string;
  /** Milliseconds that an operation waits for others, at most. */
  flushMs?: number;
  /** This many operations are sent immediately, without waiting for more. */
  itemsMax?: number;
  /** Operations held at most while they cannot be sent; beyond, `add` rejects. */
  queueItemsMax?: number;
  /** Milliseconds for which an append is tried again; below the time for which its key is remembered. */
  retryMsMax?: number;
  /** Milliseconds that `shutdown` tries for. */
  shutdownTimeoutMs?: number;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** A name that is given once, as UUIDv7: what is sent again under it is not done again. */
  makeKey: () => string;
  pause?: (ms: number) => Promise<void>;
  /** Called once for each accepted operation that changed nothing. Errors that it throws are ignored. */
  onNoEffect?: ((operation: BatchNoEffect) => void) | undefined;
  /** Without it, that is known only of operations that had committed when `add` resolved. */
  readNoEffects?: ReadNoEffects | undefined;
}

/**
 * Where an operation is. `queued`: in the log, to be committed. `committed`: in Postgres. `spilled`: Redis is away, and the operation
 * waits in Postgres for its place in the log. `memory`: Postgres is away too, and the operation waits in the memory of the server.
 */
export interface BatchResult {
  /** Null for a spilled operation, which gets its place in the order later. */
  seq: Seq | null;
  durability: 'queued' | 'committed' | 'spilled' | 'memory';
  /** The outcome of a committed operation; absent while it is queued. Only `applied` changed the world. */
  status?: OperationStatus;
  /** The id of a posted message. */
  messageId?: string;
}

/**
 * An operation that changed nothing. `unknown_object`: what it names was not there. `conflict`: its condition did not hold.
 * `seq` is the one that `add` resolved with, `actor` is `updatedBy`.
 */
export type BatchNoEffect = NoEffectAt & Pick<Item, 'type' | 'actor' | 'operation'>;

export interface BatchStats {
  /** Operations that were taken by the log. */
  processed: number;
  /** Operations held here. */
  queued: number;
  /** Operations that were refused. */
  failed: number;
  /** Processed operations that are known to have had no effect: see `BatchOptions.onNoEffect`. */
  noEffect: number;
  /** The number of appends: one for each author and space of a batch. */
  batches: number;
  /** Milliseconds from `add` to the log's answer, over all that were processed. */
  averageLatency: number;
  queues: Record<BatchType, number>;
  /** Events that were sent: see `EventCounts`. They are in no other count, except in `queues`. */
  events: EventCounts;
}

interface Item extends RoundItem {
  type: Exclude<BatchType, 'events'>;
  addedMs: number;
  resolve: (result: BatchResult) => void;
  reject: (error: unknown) => void;
}

const FLUSH_MS = 100;
const ITEMS_MAX = 100;
const QUEUE_ITEMS_MAX = 100_000;
const SHUTDOWN_MS = 10_000;
const RETRY_FIRST_MS = 100;
const RETRY_MS_MAX = 5_000;
const RETRY_TOTAL_MS_MAX = 1_800_000;

/**
 * Collects operations for up to 100 ms or 100 items, and appends them in one call for each author. After a lost answer it sends the
 * append again under the same idempotency key, so nothing is lost and nothing is applied twice. In a space, operations of one author,
 * and operations on one object, keep their order, whatever their type. Only messages are appended on their own, in the order of each
 * person: a message above a person’s limit is refused, and delays nothing.
 *
 * A Node server has one for the process. A Worker has one per request, because nothing there outlives a request: call
 * `await batch.flushAll()` before the answer, or in `waitUntil`.
 */
export class BatchProcessor {
  readonly #sink: BatchSink;
  readonly #options: Required<Omit<BatchOptions, 'onNoEffect' | 'readNoEffects'>>;
  readonly #outcomes: BatchOutcomes<Item>;
  /** Operations of all types that were added and not sent yet. */
  #queue: Item[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #events: BatchEvents;
  /** By lane, the items that the next append takes: see `findLane`. */
  readonly #waiting = new Map<string, Item[]>();
  /** Being appended, or waiting to be tried again. */
  readonly #underWay = new Set<Promise<void>>();
  /** Each ends a pause before its time. */
  readonly #pauses = new Set<() => void>();
  #held = 0;
  #endMs = Number.POSITIVE_INFINITY;
  #isClosed = false;
  #processed = 0;
  #failed = 0;
  /** Failed operations for which there was no time at shutdown. */
  #lost = 0;
  #batches = 0;
  #latencyMsSum = 0;

  constructor(sink: BatchSink, { onNoEffect, readNoEffects, ...options }: BatchOptions) {
    this.#sink = sink;
    this.#options = {
      flushMs: FLUSH_MS,
      itemsMax: ITEMS_MAX,
      queueItemsMax: QUEUE_ITEMS_MAX,
      retryMsMax: RETRY_TOTAL_MS_MAX,
      shutdownTimeoutMs: SHUTDOWN_MS,
      now: () => Date.now(),
      pause,
      ...options,
    };
    const { tenantId, flushMs, itemsMax, now } = this.#options;
    this.#events = new BatchEvents({
      send: (input) => sink.forTenant(tenantId, null).appendEvents(input),
      flushMs,
      itemsMax,
      now,
    });
    this.#outcomes = new BatchOutcomes({
      readNoEffects: readNoEffects ?? null,
      now,
      onNoEffect: ({ type, actor, operation }, at) => onNoEffect?.({ type, actor, operation, ...at }),
    });
  }

  /**
   * @returns the place of the operation, when its batch has been appended. A caller that does not await it is not disturbed by a failure:
   * `getStats().failed` counts it. For `events`, it resolves with the counts of a request. Rejects with validation_failed for an invalid operation, with backlog_full if too many operations are
   * in memory, and as an append does.
   */
  add(type: 'events', event: unknown): Promise<BatchEventResult>;
  add(type: Exclude<BatchType, 'events'>, operation: unknown): Promise<BatchResult>;
  add(type: string, operation: unknown): Promise<BatchResult | BatchEventResult>;
  add(type: string, operation: unknown): Promise<BatchResult | BatchEventResult> {
    if (type === 'events') return this.#events.add(operation);
    const { promise, resolve, reject } = Promise.withResolvers<BatchResult>();
    // Game servers often do not await this. A rejection must not end their process.
    promise.catch(() => undefined);
    try {
      this.#take(type, operation, { resolve, reject });
    } catch (error) {
      this.#failed++;
      reject(error);
    }
    return promise;
  }

  /** Appends what is held of a type, and of the others what was added before it; resolves when it has been taken or refused. */
  async flush(type: string): Promise<void> {
    const known = readType(type);
    if (known === 'events') this.#events.send();
    else this.#send(this.#queue.findLastIndex((item) => item.type === known) + 1);
    await this.#settle();
  }

  async flushAll(): Promise<void> {
    this.#events.send();
    this.#send(this.#queue.length);
    await this.#settle();
  }

  getStats(): BatchStats {
    const queues = Object.fromEntries(BATCH_TYPES.map((type) => [type, 0])) as Record<BatchType, number>;
    for (const { type } of this.#queue) queues[type]++;
    queues.events = this.#events.size;
    return {
      processed: this.#processed,
      queued: this.#held,
      failed: this.#failed + this.#events.failed,
      noEffect: this.#outcomes.count,
      batches: this.#batches,
      averageLatency: this.#processed === 0 ? 0 : this.#latencyMsSum / this.#processed,
      queues,
      events: this.#events.counts,
    };
  }

  /** Asks now which operations came to nothing; otherwise that is known within a second of their commit. */
  async checkNoEffects(): Promise<void> {
    await this.#outcomes.check();
  }

  /**
   * Takes nothing more, and resolves when all that was taken is in the log. @throws store_unavailable where that could not
   * be had in time, naming how many operations were not stored; their promises have rejected.
   */
  async shutdown(): Promise<void> {
    this.#isClosed = true;
    this.#events.close();
    this.#outcomes.end();
    this.#endMs = Math.min(this.#endMs, this.#options.now() + this.#options.shutdownTimeoutMs);
    for (const wake of this.#pauses) wake();
    await this.flushAll();
    if (this.#lost > 0)
      throw new AppError('store_unavailable', `${this.#lost} operations could not be stored before the end.`);
  }

  #take(type: string, input: unknown, settle: Pick<Item, 'resolve' | 'reject'>): void {
    const known = readType(type);
    if (known === 'events') throw new TypeError('events have a queue of their own');
    const { queueItemsMax, itemsMax, flushMs, now } = this.#options;
    if (this.#isClosed) throw new AppError('conflict', 'This BatchProcessor has been shut down.');
    if (this.#held >= queueItemsMax)
      throw new AppError(
        'backlog_full',
        `At most ${queueItemsMax} operations are held here: the log takes none now.`,
        { retryAfterSeconds: 1 },
      );
    const { spaceId, actor, operation, bytes } = readItem(known, input);
    this.#queue.push({
      type: known,
      operation,
      bytes,
      actor,
      addedMs: now(),
      ...settle,
      spaceId: spaceId ?? this.#options.spaceId,
    });
    this.#held++;
    if (this.#queue.length >= itemsMax) this.#send(this.#queue.length);
    else this.#timer ??= setTimeout(() => this.#send(this.#queue.length), flushMs);
  }

  /** Hands the first that were added to the spaces they are for. */
  #send(count: number): void {
    const items = this.#queue.splice(0, count);
    if (this.#queue.length === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    for (const [lane, own] of Map.groupBy(items, findLane)) {
      const waiting = this.#waiting.get(lane);
      if (waiting !== undefined) {
        for (const item of own) waiting.push(item);
        continue;
      }
      this.#waiting.set(lane, own);
      const pumping = this.#pump(lane, own);
      this.#underWay.add(pumping);
      void pumping.finally(() => this.#underWay.delete(pumping));
    }
  }

  /** One round at a time in a space: a retry must not come after operations that were added later. */
  async #pump(lane: string, waiting: Item[]): Promise<void> {
    while (waiting.length > 0) await Promise.all(takeRound(waiting).map((items) => this.#append(items)));
    this.#waiting.delete(lane);
  }

  async #append(items: Item[]): Promise<void> {
    const [first] = items;
    if (first === undefined) return;
    const { now, tenantId, makeKey, retryMsMax } = this.#options;
    const key = makeKey();
    const sink = this.#sink.forTenant(tenantId, first.actor, { principal: `batch:${tenantId}` });
    const ops = items.map(({ operation }) => operation);
    const giveUpMs = now() + retryMsMax;
    // The end came while what is before these was tried.
    if (this.#lost > 0) return this.#fail(items, new AppError('store_unavailable', 'The end left no time.'));
    for (let delayMs = RETRY_FIRST_MS; ; delayMs = Math.min(2 * delayMs, RETRY_MS_MAX)) {
      try {
        const outcome = await sink.appendOperations(
          { ops },
          { spaceId: first.spaceId, idempotency: { key, fingerprint: key }, packsMoves: true },
        );
        this.#batches++;
        this.#processed += items.length;
        this.#held -= items.length;
        for (const [i, { addedMs, resolve }] of items.entries()) {
          this.#latencyMsSum += now() - addedMs;
          const result = outcome.status === 'committed' ? outcome.results[i] : undefined;
          const messageId = outcome.messageIds?.[i];
          resolve({
            seq: 'seq' in outcome ? outcome.seq : null,
            durability: outcome.status,
            ...(result && { status: result.status }),
            ...(messageId !== undefined && { messageId }),
          });
        }
        this.#outcomes.follow(items, first.spaceId, outcome);
        return;
      } catch (error) {
        const leftMs = Math.min(this.#endMs, giveUpMs) - now();
        // A person who speaks too much is told so, and delays nobody.
        const isRefused = isPosted(first) && error instanceof AppError && error.code === 'rate_limited';
        if (isRefused || !isPassing(error) || leftMs <= 0) {
          this.#fail(items, error);
          return;
        }
        // The last try is at the end, and not one long pause before it.
        await this.#pauseUnlessWoken(Math.min(delayMs, leftMs));
      }
    }
  }

  #fail(items: Item[], error: unknown): void {
    this.#failed += items.length;
    if (isPassing(error) && this.#isClosed) this.#lost += items.length;
    this.#held -= items.length;
    for (const { reject } of items) reject(error);
  }

  /** A shutdown does not wait for the end of a pause. */
  async #pauseUnlessWoken(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#pauses.add(resolve);
    await Promise.race([this.#options.pause(ms), promise]);
    this.#pauses.delete(resolve);
  }

  async #settle(): Promise<void> {
    await Promise.all([...this.#underWay, this.#events.settle()]);
  }
}

/** Whether the same may succeed later, with nothing changed. */
function isPassing(error: unknown): boolean {
  return (
    error instanceof AppError &&
    ['store_unavailable', 'backlog_full', 'rate_limited', 'write_queued'].includes(error.code)
  );
}
