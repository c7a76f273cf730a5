import { AppError, notFound } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { expandOperations } from '../world/move.ts';
import { findDecided } from '../world/no-effects.ts';
import type { AppendedOperation, LogEntry, LogOperation, Operation } from '../world/operation.ts';
import { isOfObject } from '../world/operation-effects.ts';
import { planBatch } from '../world/plan-batch.ts';
import type { SaveMode, Seq } from '../world/types.ts';
import type { DrainStore, LogAddress } from './log-stores.ts';
import { PostedBudget } from './posted-budget.ts';
import { findPosted } from './posted-messages.ts';
import type { AppendOptions, CommittedOperations, LogTarget } from './space-log.ts';

/** Writers of one space who meet try again: each time one of them is through. */
const TRIES_MAX = 100;

/**
 * The order of a space where no Redis is configured: Postgres gives each write its seq and applies it, in one transaction.
 * It has the same face as SpaceLog, and everything is `committed`.
 */
export class DirectLog {
  readonly #postgres: DrainStore;
  readonly #now: () => number;
  readonly #messagesPerMinute: number;
  readonly #budget: PostedBudget;

  /** @param now milliseconds since 1970. @param messagesPerMinute of one person in a space; 0: not counted */
  constructor(
    postgres: DrainStore,
    now: () => number,
    messagesPerMinute: number = LIMITS.chatMessagesPerMinute,
  ) {
    this.#postgres = postgres;
    this.#now = now;
    this.#messagesPerMinute = messagesPerMinute;
    this.#budget = new PostedBudget(postgres, now);
  }

  get commitsAlways(): boolean {
    return true;
  }

  /** @throws not_found, conflict for a space that is written through a log in Redis, store_unavailable. */
  async commit(
    target: LogTarget,
    sent: readonly AppendedOperation[],
    { returnsObject = false, role = null }: Partial<AppendOptions> = {},
  ): Promise<CommittedOperations> {
    const operations = expandOperations(sent);
    const posted = findPosted(operations, { role, perMinute: this.#messagesPerMinute });
    if (posted !== null) await this.#budget.check(target, posted);
    const { seq, ...committed } = await this.#write(target, operations, (from, seq, incarnation) =>
      this.#apply(target, operations, { from, seq, incarnation, returnsObject }),
    );
    const named = posted === null ? {} : { messageIds: posted.ids };
    return { status: 'committed', seq, accepted: operations.length, ...named, ...committed };
  }

  async enqueue(
    target: LogTarget,
    operations: readonly AppendedOperation[],
    options: Partial<AppendOptions> = {},
  ): Promise<CommittedOperations> {
    return this.commit(target, operations, options);
  }

  async commitStage(
    target: LogTarget,
    { stageId, mode }: { stageId: string; mode: SaveMode },
  ): Promise<CommittedOperations> {
    const { seq, results } = await this.#write(target, [], async (from, seq, incarnation) => {
      const outcome = await this.#postgres.applyStage(target, {
        incarnation,
        from,
        to: seq,
        stageId,
        mode,
        actor: target.actor,
        requestId: target.requestId,
        waits: false,
        incidents: [],
        isDirect: true,
      });
      if (outcome.status === 'moved') return 'moved';
      if (outcome.status === 'log_open') throw logOpen();
      if (outcome.status === 'unknown_space') throw notFound('this space');
      return {
        results: [{ id: stageId, status: outcome.status === 'applied' ? 'applied' : 'rejected' }],
        written: null,
      };
    });
    return { status: 'committed', seq, accepted: 1, results };
  }

  /** Each write reads the settings in Postgres. */
  async applySettings(): Promise<void> {}

  /** There is no log to end. */
  async retire(): Promise<void> {}

  /** There is no log either of which Postgres could be behind. */
  async readLag(): Promise<{ seq: null; durabilityLagMs: 0 }> {
    return { seq: null, durabilityLagMs: 0 };
  }

  async #write(
    address: LogAddress,
    operations: readonly LogOperation[],
    apply: (from: Seq, seq: Seq, incarnation: string) => Promise<Applied | 'moved'>,
  ): Promise<Applied & { seq: Seq }> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const opened = await this.#postgres.loadCursor(address);
      if (opened === null) throw notFound('this space');
      if (opened.isLogOpen) throw logOpen();
      const seq = Math.max(opened.cursor + 1, this.#now() * 1_000);
      const applied = await apply(opened.cursor, seq, opened.incarnation);
      if (applied !== 'moved') return { seq, ...applied };
    }
    throw new AppError(
      'store_unavailable',
      `Too many clients write to this space at the same time (${operations.length} operations).`,
      {
        retryAfterSeconds: 1,
      },
    );
  }

  async #apply(
    target: LogTarget,
    operations: readonly Operation[],
    {
      from,
      seq,
      incarnation,
      returnsObject,
    }: { from: Seq; seq: Seq; incarnation: string; returnsObject: boolean },
  ): Promise<Applied | 'moved'> {
    const { actor, requestId } = target;
    const entry: LogEntry = {
      ...{ seq, prev: from, actor, ...(requestId !== undefined && { requestId }) },
      ...{ ops: [...operations], waits: true, returnsObject },
    };
    // Of all objects, so that a write which changes nothing is known before it takes a place in the order.
    const { cursor, seqs } = await this.#postgres.loadSeqs(target, listObjects(operations));
    if (cursor !== from) return 'moved';
    const apart = { objects: new Set<string>(), users: new Set<string>(), messages: new Set<string>() };
    for (;;) {
      const plan = planBatch([entry], seqs, {
        rowsMax: Number.POSITIVE_INFINITY,
        apart,
      });
      const { objects, avatars, messages, singles, results, written, counts } = plan;
      // A write without changes takes no place in the order.
      if (objects.length + avatars.length + messages.length + singles.length === 0)
        return { results: results[0]?.results ?? [], written: null };
      const outcome = await this.#postgres.applyBatch(target, {
        incarnation,
        from,
        to: seq,
        objects,
        avatars,
        messages,
        singles,
        written,
        counts,
        incidents: [],
        presumed: plan.presumed,
        origins: [entry],
        // Only Postgres knows the outcomes of single operations, and it stores them.
        results: singles.length > 0 ? results : [],
        isDirect: true,
      });
      if (outcome.status === 'unknown_space') throw notFound('this space');
      if (outcome.status === 'moved') return 'moved';
      if (outcome.status === 'log_open') throw logOpen();
      if (outcome.status === 'applied') {
        const noted = singles.length > 0 ? await this.#postgres.readResults(target, seq, seq) : null;
        return {
          results: noted?.get(seq) ?? findDecided(plan, outcome)[0]?.results ?? [],
          written: outcome.object ?? null,
        };
      }
      for (const id of outcome.objectIds) apart.objects.add(id);
      for (const id of outcome.userIds) apart.users.add(id);
      for (const id of outcome.messageIds) apart.messages.add(id);
    }
  }
}

function listObjects(operations: readonly Operation[]): string[] {
  return [...new Set(operations.filter(isOfObject).map(({ id }) => id))];
}

type Applied = Required<Pick<CommittedOperations, 'results' | 'written'>>;

function logOpen(): AppError {
  return new AppError(
    'conflict',
    'This space is written through its log in Redis: a server without that Redis cannot write to it.',
  );
}
