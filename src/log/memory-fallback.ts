import { countBytes } from '../world/check-operations.ts';
import { AppError, isAway } from '../world/errors.ts';
import { nameOf } from './batch-sizes.ts';
import type { LogAddress } from './log-stores.ts';
import { keyReused } from './refusals.ts';
import type { Defer } from './space-log.ts';
import type { Spill } from './spill.ts';
import type { SpilledRequest } from './spill-store.ts';

export interface MemoryOptions {
  /** Milliseconds since 1970. */
  now: () => number;
  pause: (ms: number) => Promise<void>;
  /** Of all requests that it holds, in bytes of their operations, and their number. */
  limits: { bytesMax: number; requestsMax: number };
  /** The incarnation of a space that this process last used; null: it has not used the space. */
  findIncarnation: (address: LogAddress) => string | null;
  onEvent: (told: MemoryEvent) => void;
}

export interface MemoryEvent {
  event: 'memory_stored' | 'memory_refused' | 'memory_lost';
  /** Requests. */
  count: number;
  cause?: unknown;
}

interface Held {
  address: LogAddress;
  request: SpilledRequest;
  incarnation: string;
  bytes: number;
  /** As of `Spill.keep`; counted from `heldMs`. */
  keySeconds: number | null;
  heldMs: number;
}

const RETRY_FIRST_MS = 250;
const RETRY_MS_MAX = 2_000;

/**
 * Requests that were accepted while both stores were away, in the memory of a server. They are lost if it dies. As soon as Postgres
 * answers, they become spilled requests there, in their order.
 */
export class MemoryFallback {
  readonly #spill: Pick<Spill, 'keep'>;
  readonly #options: MemoryOptions;
  /** In their order, by tenant, space, principal and key. */
  readonly #held = new Map<string, Held>();
  /** The number of requests, by space. */
  readonly #bySpace = new Map<string, number>();
  #bytes = 0;
  #storing: Promise<void> | null = null;
  #isTrying = false;
  #isEnded = false;

  constructor(spill: Pick<Spill, 'keep'>, options: MemoryOptions) {
    this.#spill = spill;
    this.#options = options;
  }

  /** The number of requests in memory. */
  get size(): number {
    return this.#held.size;
  }

  /** Whether it holds this request: a caller repeats it. @throws idempotency_key_reused */
  has(address: LogAddress, request: SpilledRequest): boolean {
    const known = this.#held.get(nameRequest(address, request));
    if (known !== undefined && known.request.fingerprint !== request.fingerprint) throw keyReused();
    return known !== undefined;
  }

  /** Whether it holds requests of the space. */
  holds(address: LogAddress): boolean {
    return this.#bySpace.has(nameOf(address));
  }

  /**
   * @param keySeconds as of `Spill.keep`
   * @throws store_unavailable for a space that this process does not know; backlog_full
   */
  keep(
    { tenantId, spaceId }: LogAddress,
    request: SpilledRequest,
    { keySeconds, outage, defer }: { keySeconds: number | null; outage: AppError; defer: Defer },
  ): void {
    const address = { tenantId, spaceId };
    const { findIncarnation, limits, now } = this.#options;
    const incarnation = findIncarnation(address);
    if (incarnation === null) throw outage;
    if (this.has(address, request)) return;
    const name = nameRequest(address, request);
    const bytes = request.entries.reduce((sum, { ops }) => sum + countBytes(ops), 0);
    if (this.#held.size >= limits.requestsMax || this.#bytes + bytes > limits.bytesMax)
      throw new AppError('backlog_full', 'Both stores are away, and the memory for writes is full.', {
        retryAfterSeconds: 5,
      });
    this.#held.set(name, { address, request, incarnation, bytes, keySeconds, heldMs: now() });
    this.#bytes += bytes;
    this.#bySpace.set(nameOf(address), (this.#bySpace.get(nameOf(address)) ?? 0) + 1);
    if (!this.#isTrying) defer(this.#tryToStore());
  }

  /** The process ends. It tries once more, and reports what is lost. */
  async end(): Promise<void> {
    this.#isEnded = true;
    await this.#storing?.catch(() => undefined);
    await this.store().catch(() => undefined);
    const { onEvent } = this.#options;
    if (this.#held.size > 0) onEvent({ event: 'memory_lost', count: this.#held.size });
  }

  async #tryToStore(): Promise<void> {
    this.#isTrying = true;
    try {
      for (let waitMs = RETRY_FIRST_MS; this.#held.size > 0; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
        await this.#options.pause(waitMs);
        if (this.#isEnded) return;
        await this.store().catch(() => undefined);
      }
    } finally {
      this.#isTrying = false;
    }
  }

  /**
   * Moves the oldest requests to Postgres. If a space has no room there, its requests stay, and others are moved.
   * @throws store_unavailable
   */
  async store(): Promise<void> {
    this.#storing ??= this.#store().finally(() => {
      this.#storing = null;
    });
    return this.#storing;
  }

  async #store(): Promise<void> {
    const { now, onEvent } = this.#options;
    let stored = 0;
    const full = new Set<string>();
    try {
      for (const [name, { address, request, incarnation, bytes, ...held }] of this.#held) {
        if (full.has(nameOf(address))) continue;
        const heldSeconds = Math.ceil((now() - held.heldMs) / 1_000);
        const keySeconds = held.keySeconds === null ? null : held.keySeconds - heldSeconds;
        try {
          await this.#spill.keep(address, request, { keySeconds, incarnation, defer: ignore });
          stored++;
        } catch (cause) {
          if (isAway(cause)) throw cause;
          if (cause instanceof AppError && cause.code === 'backlog_full') {
            // Room may come.
            full.add(nameOf(address));
            continue;
          }
          onEvent({ event: 'memory_refused', count: 1, cause });
        }
        if (this.#held.delete(name)) this.#forget(address, bytes);
      }
    } finally {
      if (stored > 0) onEvent({ event: 'memory_stored', count: stored });
    }
  }

  #forget(address: LogAddress, bytes: number): void {
    this.#bytes -= bytes;
    const left = (this.#bySpace.get(nameOf(address)) ?? 1) - 1;
    if (left === 0) this.#bySpace.delete(nameOf(address));
    else this.#bySpace.set(nameOf(address), left);
  }
}

function nameRequest({ tenantId, spaceId }: LogAddress, { principal, key }: SpilledRequest): string {
  return [tenantId, spaceId, principal, key].join(' ');
}

/** A process that lives on needs nothing to keep its work going. */
function ignore(): void {}
