import { countBytes } from '../world/check-operations.ts';
import { AppError, isAway } from '../world/errors.ts';
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
  /** Whether the space was there when this process last heard of it. */
  knows: (address: LogAddress) => boolean;
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
  #bytes = 0;
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
    const { knows, limits, now } = this.#options;
    if (!knows(address)) throw outage;
    const name = [tenantId, spaceId, request.principal, request.key].join(' ');
    const known = this.#held.get(name);
    if (known !== undefined) {
      if (known.request.fingerprint !== request.fingerprint) throw keyReused();
      // A caller repeats its request.
      return;
    }
    const bytes = request.entries.reduce((sum, { ops }) => sum + countBytes(ops), 0);
    if (this.#held.size >= limits.requestsMax || this.#bytes + bytes > limits.bytesMax)
      throw new AppError('backlog_full', 'Both stores are away, and the memory for writes is full.', {
        retryAfterSeconds: 5,
      });
    this.#held.set(name, { address, request, bytes, keySeconds, heldMs: now() });
    this.#bytes += bytes;
    if (!this.#isTrying) defer(this.#tryToStore());
  }

  /** The process ends. It tries once more, and reports what is lost. */
  async end(): Promise<void> {
    this.#isEnded = true;
    await this.#store().catch(() => undefined);
    const { onEvent } = this.#options;
    if (this.#held.size > 0) onEvent({ event: 'memory_lost', count: this.#held.size });
  }

  async #tryToStore(): Promise<void> {
    this.#isTrying = true;
    try {
      for (let waitMs = RETRY_FIRST_MS; this.#held.size > 0; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
        await this.#options.pause(waitMs);
        if (this.#isEnded) return;
        await this.#store().catch(() => undefined);
      }
    } finally {
      this.#isTrying = false;
    }
  }

  /**
   * Moves the oldest requests to Postgres, until one cannot be moved. It may run twice at the same time, when the process ends: Postgres
   * keeps a request once. @throws store_unavailable; backlog_full
   */
  async #store(): Promise<void> {
    const { now, onEvent } = this.#options;
    let stored = 0;
    try {
      for (const [name, { address, request, bytes, ...held }] of this.#held) {
        const heldSeconds = Math.ceil((now() - held.heldMs) / 1_000);
        const keySeconds = held.keySeconds === null ? null : held.keySeconds - heldSeconds;
        try {
          await this.#spill.keep(address, request, { keySeconds, defer: ignore });
          stored++;
        } catch (cause) {
          // Room may come, and Postgres may return.
          if (isAway(cause) || (cause instanceof AppError && cause.code === 'backlog_full')) throw cause;
          onEvent({ event: 'memory_refused', count: 1, cause });
        }
        if (this.#held.delete(name)) this.#bytes -= bytes;
      }
    } finally {
      if (stored > 0) onEvent({ event: 'memory_stored', count: stored });
    }
  }
}

/** A process that lives on needs nothing to keep its work going. */
function ignore(): void {}
