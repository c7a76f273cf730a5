import { LRUCache } from 'lru-cache';
import { withTimeout } from '../helpers/time.ts';
import { ProcessBuckets } from '../world/token-bucket.ts';

/** The size of a burst, which comes back evenly over the window. */
export interface RateLimit {
  requests: number;
  windowSeconds: number;
}

/** Whose requests are counted together. */
export interface RateSubject {
  /** Null for what belongs to no tenant. */
  tenantId: string | null;
  /** The kind of the subject: `principal`, `address`, … */
  kind: string;
  name: string;
}

export interface Taken {
  allowed: boolean;
  /** Whole requests that are left now. */
  remaining: number;
  /** Milliseconds since 1970 at which there will be more: after a refusal, at least one. */
  resetAtMs: number;
}

/** The decision on one request, and the limit that decided it. */
export interface RateDecision extends Taken {
  limit: RateLimit;
  /** Whether the whole deployment counted, or, while Redis is away, this process alone. */
  countedBy: 'deployment' | 'process';
}

/** The part of Redis that RateLimiter needs. */
export interface RateLimitStore {
  /** Takes this many tokens, or none if fewer are left. @param count default 1 */
  take(subject: RateSubject, limit: RateLimit, count?: number): Promise<Taken>;
}

export type RateLimiterEvent =
  /** Limits hold per process from now on: Redis does not answer, or none is configured. Told once an outage. */
  | { event: 'rate_limit_per_process'; reason: 'redis_away' | 'no_redis'; cause?: unknown }
  | { event: 'rate_limit_restored' };

export interface RateLimiterOptions {
  /** Milliseconds since 1970. */
  now: () => number;
  /** The limit of each subject in one process while Redis is away, if it is below the normal limit. */
  requestsPerMinuteAlone: number;
  onEvent?: (event: RateLimiterEvent) => void;
}

/** Subjects remembered in one process at most. */
const SUBJECTS_MAX = 10_000;
/** A count that takes longer is abandoned: every answer waits for it. */
const STORE_TIMEOUT_MS = 500;
/** For so long a process may spend what it took for many requests in one command. */
const LEASE_MS = 1_000;
/** A lease that was used up in less time is followed by one that is a quarter larger, up to this share of the limit. */
const LEASE_GROWTH = 1.25;
const LEASE_SHARE_MAX = 0.01;

/** Tokens that this process has taken and not used. */
interface Lease {
  left: number;
  used: number;
  untilMs: number;
  /** Of the deployment's budget, when it was taken. */
  remaining: number;
  resetAtMs: number;
}

/** For so long Redis is not asked again after it failed. */
const STORE_PAUSE_MS = 5_000;

/**
 * Counts requests over the whole deployment, with one Redis command for each or for many (`takeLeased`). A subject that is refused
 * is then refused from memory, until there is more for it. While Redis is away each process counts for itself, by a lower limit. It never throws.
 */
export class RateLimiter {
  readonly #store: RateLimitStore | null;
  readonly #options: RateLimiterOptions;
  readonly #blocked = new LRUCache<string, RateDecision>({ max: SUBJECTS_MAX });
  readonly #alone = new ProcessBuckets(SUBJECTS_MAX);
  readonly #leases = new LRUCache<string, Lease>({ max: SUBJECTS_MAX });
  #isAlone = false;
  #askAgainAtMs = 0;

  /** @param store null where no Redis is configured. */
  constructor(store: RateLimitStore | null, options: RateLimiterOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** Counts one request of the subject. */
  async take(subject: RateSubject, limit: RateLimit): Promise<RateDecision> {
    const blocked = this.findBlock(subject);
    if (blocked !== null) return blocked;
    const decision = (await this.#takeOfDeployment(subject, limit)) ?? this.#takeOfProcess(subject, limit);
    if (!decision.allowed) this.#block(subject, decision);
    return decision;
  }

  /**
   * The same for a frequent subject. One command takes as many tokens as the process used in the last second, and the next requests
   * cost no command. A process uses only tokens that it took, so all processes together never exceed the limit. It loses unused tokens
   * after a second, so a busy subject may be refused from four fifths of its limit.
   */
  async takeLeased(subject: RateSubject, limit: RateLimit): Promise<RateDecision> {
    const name = nameOf(subject);
    const nowMs = this.#options.now();
    const lease = this.#leases.get(name);
    if (lease !== undefined && lease.left > 0 && nowMs < lease.untilMs) {
      lease.left--;
      lease.used++;
      const { remaining, left, resetAtMs } = lease;
      return { allowed: true, remaining: remaining + left, resetAtMs, limit, countedBy: 'deployment' };
    }
    const most = Math.max(1, Math.floor(limit.requests * LEASE_SHARE_MAX));
    const count = Math.min(most, lease === undefined ? 1 : readNeed(lease, nowMs));
    if (count === 1 || this.findBlock(subject) !== null || this.#isAlone) {
      const decision = await this.take(subject, limit);
      if (decision.allowed) this.#startLease(name, nowMs, 1, decision);
      return decision;
    }
    // Requests that come before the answer take one token each.
    if (lease !== undefined) lease.used = 0;
    const taken = await this.#takeOfDeployment(subject, limit, count);
    if (taken?.allowed !== true) return this.take(subject, limit);
    this.#startLease(name, nowMs, count, taken);
    return { ...taken, remaining: taken.remaining + count - 1 };
  }

  #startLease(name: string, nowMs: number, count: number, { remaining, resetAtMs }: RateDecision): void {
    this.#leases.set(name, { left: count - 1, used: 1, untilMs: nowMs + LEASE_MS, remaining, resetAtMs });
  }

  /** Why the subject would be refused, if memory alone knows that it would be. Costs no I/O and counts nothing. */
  findBlock(subject: RateSubject): RateDecision | null {
    const name = nameOf(subject);
    const blocked = this.#blocked.get(name);
    if (blocked === undefined) return null;
    if (blocked.resetAtMs > this.#options.now()) return blocked;
    this.#blocked.delete(name);
    return null;
  }

  async #takeOfDeployment(subject: RateSubject, limit: RateLimit, count = 1): Promise<RateDecision | null> {
    if (this.#store === null) {
      this.#standAlone('no_redis');
      return null;
    }
    if (this.#options.now() < this.#askAgainAtMs) return null;
    try {
      const taken = await withTimeout(STORE_TIMEOUT_MS, this.#store.take(subject, limit, count));
      if (this.#isAlone) this.#options.onEvent?.({ event: 'rate_limit_restored' });
      this.#isAlone = false;
      return { ...taken, limit, countedBy: 'deployment' };
    } catch (cause) {
      this.#askAgainAtMs = this.#options.now() + STORE_PAUSE_MS;
      this.#standAlone('redis_away', cause);
      return null;
    }
  }

  #takeOfProcess(subject: RateSubject, { requests, windowSeconds }: RateLimit): RateDecision {
    const share = Math.floor((this.#options.requestsPerMinuteAlone * windowSeconds) / 60);
    const limit = { requests: Math.max(1, Math.min(requests, share)), windowSeconds };
    const taken = this.#alone.take(nameOf(subject), limit, this.#options.now());
    return { ...taken, limit, countedBy: 'process' };
  }

  #standAlone(reason: 'redis_away' | 'no_redis', cause?: unknown): void {
    if (!this.#isAlone) this.#options.onEvent?.({ event: 'rate_limit_per_process', reason, cause });
    this.#isAlone = true;
  }

  /** A subject that was evicted from memory is asked again; nothing else is lost. */
  #block(subject: RateSubject, decision: RateDecision): void {
    this.#blocked.set(nameOf(subject), decision);
  }
}

/** The requests of the next second, estimated from the use of the last lease. */
function readNeed({ used, untilMs }: Lease, nowMs: number): number {
  if (nowMs >= untilMs + LEASE_MS) return 1;
  return Math.max(1, nowMs < untilMs ? Math.ceil(used * LEASE_GROWTH) : used);
}

function nameOf({ tenantId, kind, name }: RateSubject): string {
  return `${tenantId ?? ''}!${kind}!${name}`;
}
