import { encodeEntries } from '../world/check-operations.ts';
import { isAway, isOutage } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { countOperations } from '../world/move.ts';
import type { AppendedOperation } from '../world/operation.ts';
import type { JsonObject, SaveMode } from '../world/types.ts';
import type { LogAddress } from './log-stores.ts';
import type { MemoryFallback } from './memory-fallback.ts';
import type { PostedBudget } from './posted-budget.ts';
import { findPosted } from './posted-messages.ts';
import {
  type AppendOptions,
  type CommittedOperations,
  type Queued,
  type SpaceLog,
  shorten,
} from './space-log.ts';
import type { Spill } from './spill.ts';
import type { Spilled, WorldLog, WriteTarget } from './world-log.ts';

/**
 * A SpaceLog whose writes go to Postgres while Redis is away. Writes that wait for their commit, and conditional ones, need the order of
 * the log: they are refused then.
 */
export class SpillingLog implements WorldLog {
  readonly #log: SpaceLog;
  readonly #spill: Spill;
  readonly #budget: PostedBudget;
  readonly #memory: MemoryFallback | null;
  readonly #options: { idempotencyTtlSeconds: number; messagesPerMinute: number };

  constructor(
    log: SpaceLog,
    spill: Spill,
    budget: PostedBudget,
    options: { idempotencyTtlSeconds: number; messagesPerMinute: number },
    memory: MemoryFallback | null = null,
  ) {
    this.#log = log;
    this.#spill = spill;
    this.#budget = budget;
    this.#options = options;
    this.#memory = memory;
  }

  get commitsAlways(): boolean {
    return this.#log.commitsAlways;
  }

  /** As SpaceLog does, or `spilled`, or `memory`. An append without an answer may still run: so each has a key, which its spilled request keeps. */
  async enqueue(
    target: WriteTarget,
    operations: readonly AppendedOperation[],
    options: AppendOptions,
  ): Promise<Queued | Spilled> {
    const { principal, role = null, defer } = options;
    if (operations.some(hasCondition)) return this.#log.enqueue(target, operations, options);
    const {
      key = null,
      messageIds = [],
      fingerprint = '',
    } = (principal !== null && options.idempotency) || {};
    const isKnown = key !== null || messageIds.length > 0;
    const ownKey = crypto.randomUUID();
    try {
      return await this.#log.enqueue(
        target,
        operations,
        isKnown ? options : { ...options, serverKey: ownKey },
      );
    } catch (error) {
      if (!isOutage(error)) throw error;
      const posted = findPosted(operations, { role, perMinute: this.#options.messagesPerMinute });
      if (posted !== null) await this.#budget.check(target, posted);
      const request = {
        actor: target.actor,
        principal: isKnown ? (principal ?? '') : '',
        key: key ?? ownKey,
        messageIds,
        fingerprint,
        entries: encodeEntries(shorten(operations, options)),
        postedIds: posted?.ids ?? [],
      };
      const ownSeconds = error.outage === 'lost' ? LIMITS.appendKeySeconds : null;
      // The caller may have sent its key before, to any process.
      const keySeconds = isKnown ? this.#options.idempotencyTtlSeconds : ownSeconds;
      const accepted = countOperations(operations);
      try {
        const messages = await this.#spill.keep(target, request, { keySeconds, defer });
        return { status: 'spilled', accepted, ...(messages.length > 0 && { messageIds: messages }) };
      } catch (failure) {
        if (this.#memory === null || !isAway(failure)) throw failure;
        this.#memory.keep(target, request, { keySeconds, outage: failure, defer });
        return { status: 'memory', accepted };
      }
    }
  }

  commit(
    ...args: [target: WriteTarget, operations: readonly AppendedOperation[], options: AppendOptions]
  ): Promise<Queued | CommittedOperations> {
    return this.#log.commit(...args);
  }

  commitStage(
    ...args: [target: WriteTarget, stage: { stageId: string; mode: SaveMode }, options: AppendOptions]
  ): Promise<Queued | CommittedOperations> {
    return this.#log.commitStage(...args);
  }

  applySettings(address: LogAddress, settings: JsonObject): Promise<void> {
    return this.#log.applySettings(address, settings);
  }

  retire(address: LogAddress, incarnation: string): Promise<void> {
    return this.#log.retire(address, incarnation);
  }

  readLag(address: LogAddress): ReturnType<SpaceLog['readLag']> {
    return this.#log.readLag(address);
  }
}

function hasCondition(operation: AppendedOperation): boolean {
  return 'ifSeq' in operation || 'ifExists' in operation;
}
