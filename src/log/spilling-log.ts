import { readUuidTime } from '../helpers/uuid-time.ts';
import { encodeEntries } from '../world/check-operations.ts';
import { isAway, isOutage } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { countOperations } from '../world/move.ts';
import type { AppendedOperation } from '../world/operation.ts';
import { ProcessBuckets } from '../world/token-bucket.ts';
import type { JsonObject, SaveMode } from '../world/types.ts';
import type { LogAddress } from './log-stores.ts';
import type { MemoryFallback } from './memory-fallback.ts';
import type { PostedBudget } from './posted-budget.ts';
import { findPosted } from './posted-messages.ts';
import { overBudget, spillFull } from './refusals.ts';
import {
  type AppendOptions,
  type CommittedOperations,
  type Queued,
  type SpaceLog,
  shorten,
} from './space-log.ts';
import type { Spill } from './spill.ts';
import type { Spilled, WorldLog, WriteTarget } from './world-log.ts';

export interface SpillingOptions {
  idempotencyTtlSeconds: number;
  messagesPerMinute: number;
  /** Of each principal in each space, as the log counts them; 0: not counted. */
  requestsPerMinute: number;
  updatesPerMinute: number;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** Budgets that a process counts at the same time. */
const PRINCIPALS_MAX = 10_000;

/**
 * A SpaceLog whose writes go to Postgres while Redis is away. Writes that wait for their commit, and conditional ones, need the order of
 * the log: they are refused then.
 */
export class SpillingLog implements WorldLog {
  readonly #log: SpaceLog;
  readonly #spill: Spill;
  readonly #budget: PostedBudget;
  readonly #memory: MemoryFallback | null;
  readonly #options: SpillingOptions;
  readonly #requests = new ProcessBuckets(PRINCIPALS_MAX);
  readonly #updates = new ProcessBuckets(PRINCIPALS_MAX);

  constructor(
    log: SpaceLog,
    spill: Spill,
    budget: PostedBudget,
    options: SpillingOptions,
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
      const request = {
        actor: target.actor,
        requestId: this.#log.findRequestId(target, operations) ?? null,
        principal: isKnown ? (principal ?? '') : '',
        key: key ?? ownKey,
        messageIds,
        fingerprint,
        entries: encodeEntries(shorten(operations, options)),
        postedIds: posted?.ids ?? [],
      };
      const ownSeconds = error.outage === 'lost' ? LIMITS.appendKeySeconds : null;
      const keySeconds = isKnown ? this.#readKeySeconds(key) : ownSeconds;
      const accepted = countOperations(operations);
      // It would be a dead letter.
      if (isKnown && keySeconds !== null && keySeconds <= LIMITS.appendKeyMarginSeconds) throw error;
      const memory = this.#memory;
      if (memory?.has(target, request)) return { status: 'memory', accepted };
      // A repeat costs no budget.
      const found = isKnown ? await orAway(this.#spill.find(target, request, defer)) : null;
      if (found !== null && found !== 'away') return spilled(accepted, found);
      if (posted !== null) await this.#budget.check(target, posted);
      this.#takeBudget(target, principal, accepted);
      // An earlier write of this process must not come behind this one.
      const emptied = memory?.holds(target) ? await orAway(memory.store()) : undefined;
      if (emptied !== 'away' && memory?.holds(target)) throw spillFull();
      const kept = emptied ?? (await orAway(this.#spill.keep(target, request, { keySeconds, defer })));
      if (kept !== 'away') return spilled(accepted, kept);
      if (memory === null || posted !== null) throw error;
      memory.keep(target, request, { keySeconds, outage: error, defer });
      return { status: 'memory', accepted };
    }
  }

  /**
   * For how long Redis still knows a key of a caller, who may have sent it before, to any process. A UUIDv7 tells when it was made. Any
   * other key counts as made now.
   */
  #readKeySeconds(key: string | null): number {
    const { idempotencyTtlSeconds, now } = this.#options;
    const ageMs = now() - (readUuidTime(key ?? '') ?? now());
    return idempotencyTtlSeconds - Math.max(0, Math.ceil(ageMs / 1_000));
  }

  /** The budget of updates, which Redis counts otherwise. Each process counts alone. @throws rate_limited */
  #takeBudget({ tenantId, spaceId }: LogAddress, principal: string | null, operations: number): void {
    if (principal === null) return;
    const { requestsPerMinute, updatesPerMinute, messagesPerMinute, now } = this.#options;
    const limits = { requestsPerMinute, updatesPerMinute, messagesPerMinute };
    const nowMs = now();
    // Operations first: a request that they refuse costs nothing.
    for (const [kind, taken, perMinute, wanted] of [
      ['updates', this.#updates, updatesPerMinute, operations],
      ['requests', this.#requests, requestsPerMinute, 1],
    ] as const) {
      if (perMinute === 0) continue;
      const limit = { requests: perMinute, windowSeconds: 60 };
      const count = Math.min(wanted, perMinute);
      const { allowed, remaining } = taken.take(`${tenantId}!${spaceId}!${principal}`, limit, nowMs, count);
      const retryAfterMs = ((count - remaining) * 60_000) / perMinute;
      if (!allowed) throw overBudget({ kind, retryAfterMs }, limits);
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

function spilled(accepted: number, messageIds: readonly string[]): Spilled {
  return { status: 'spilled', accepted, ...(messageIds.length > 0 && { messageIds }) };
}

async function orAway<T>(work: Promise<T>): Promise<T | 'away'> {
  try {
    return await work;
  } catch (error) {
    if (isAway(error)) return 'away';
    throw error;
  }
}

function hasCondition(operation: AppendedOperation): boolean {
  return 'ifSeq' in operation || 'ifExists' in operation;
}
