import { AppError, isAway } from '../world/errors.ts';
import type { LogAddress } from './log-stores.ts';
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
  /** Null of `memory_lost`, which is of all spaces. */
  address: LogAddress | null;
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
  readonly #held: Held[] = [];
  #bytes = 0;
  #isTrying = false;
  #isEnded = false;

  constructor(spill: Pick<Spill, 'keep'>, options: MemoryOptions) {
    this.#spill = spill;
    this.#options = options;
  }

  /** The number of requests in memory. */
  get size(): number {
    return this.#held.length;
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
    const isSame = ({ principal, key }: SpilledRequest) =>
      principal === request.principal && key === request.key;
    // A caller repeats its request.
    if (this.#held.some((held) => held.address.spaceId === spaceId && isSame(held.request))) return;
    const bytes = request.entries.reduce((sum, { ops }) => sum + ops.length, 0);
    if (this.#held.length >= limits.requestsMax || this.#bytes + bytes > limits.bytesMax)
      throw new AppError('backlog_full', 'Both stores are away, and the memory for writes is full.', {
        retryAfterSeconds: 5,
      });
    this.#held.push({ address, request, bytes, keySeconds, heldMs: now() });
    this.#bytes += bytes;
    if (!this.#isTrying) defer(this.#tryToStore());
  }

  /** The process ends. It tries once more, and reports what is lost. */
  async end(): Promise<void> {
    this.#isEnded = true;
    await this.#store().catch(() => undefined);
    const { onEvent } = this.#options;
    if (this.#held.length > 0) onEvent({ event: 'memory_lost', address: null, count: this.#held.length });
  }

  async #tryToStore(): Promise<void> {
    this.#isTrying = true;
    try {
      for (let waitMs = RETRY_FIRST_MS; this.#held.length > 0; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
        await this.#options.pause(waitMs);
        if (this.#isEnded) return;
        await this.#store().catch(() => undefined);
      }
    } finally {
      this.#isTrying = false;
    }
  }

  /** Moves the oldest requests to Postgres, until one cannot be moved. @throws store_unavailable */
  async #store(): Promise<void> {
    const { now, onEvent } = this.#options;
    for (let first = this.#held[0]; first !== undefined; first = this.#held[0]) {
      const { address, request, bytes, heldMs } = first;
      const keySeconds =
        first.keySeconds === null ? null : first.keySeconds - Math.ceil((now() - heldMs) / 1_000);
      try {
        await this.#spill.keep(address, request, { keySeconds, defer: ignore });
        onEvent({ event: 'memory_stored', address, count: 1 });
      } catch (cause) {
        // Room may come, and Postgres may return.
        if (isAway(cause) || (cause instanceof AppError && cause.code === 'backlog_full')) throw cause;
        onEvent({ event: 'memory_refused', address, count: 1, cause });
      }
      this.#held.shift();
      this.#bytes -= bytes;
    }
  }
}

/** A process that lives on needs nothing to keep its work going. */
function ignore(): void {}
