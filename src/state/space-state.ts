import { LRUCache } from 'lru-cache';
import type { LogAddress } from '../log/log-stores.ts';
import type { Defer } from '../log/space-log.ts';
import type { KeptRequest } from '../log/spill-store.ts';
import { isAway } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { heldUnsettled, readWithSpilled, spilledUnsettled } from './read-spilled.ts';
import { readState } from './read-state.ts';
import { renewSnapshot } from './renew-snapshot.ts';
import type { StateOptions, StateOutcome, StateParts, Version } from './state-parts.ts';
import type { StateLoader, StateStore } from './state-stores.ts';
import { ViewCache } from './view-cache.ts';
import { waitUntilCommitted } from './wait-until-committed.ts';

export type * from './state-parts.ts';
export type * from './state-stores.ts';

/** Milliseconds that a write to what no log holds may last. */
const WRITE_MS_MAX = 30_000;
/** Milliseconds between two counts of hits and misses of one process: they are sent along with a read. */
const COUNT_MS = 1_000;
/**
 * Milliseconds between two renewals of one space's snapshot by one process. Where thousands of operations come in a second,
 * every read finds it behind: without this each of them asked Redis whether to renew it.
 */
const RENEW_MS = 1_000;
/** Milliseconds that a reader waits for the return of spilled requests. Then it gets them as spilled ones. */
const RETURN_WAIT_MS = 1_000;
/** Spaces of which a process remembers when it renewed their snapshots. */
const RENEWED_SPACES_MAX = 10_000;
/** Tenants that a process counts at the same time. */
const COUNTED_TENANTS_MAX = 10_000;

/** States of worlds: what is kept of them, how it is read, renewed and taken back. */
export class SpaceState {
  readonly #parts: StateParts;
  readonly #keeps: boolean;
  readonly #spill: StateOptions['spill'];
  /** When the snapshot of each space was last renewed here. */
  readonly #renewedMs = new LRUCache<string, number>({ max: RENEWED_SPACES_MAX });

  constructor(
    store: StateStore,
    loader: StateLoader,
    log: StateParts['log'],
    drain: StateParts['drain'],
    { keeps = true, spill = null, ...options }: StateOptions,
  ) {
    this.#keeps = keeps;
    this.#spill = spill;
    this.#parts = {
      store,
      loader,
      log,
      drain,
      options: {
        worldCharactersMax: LIMITS.snapshotCharactersMax,
        viewCharactersMax: LIMITS.viewCharactersMax,
        countMs: COUNT_MS,
        renewMs: RENEW_MS,
        onRead: () => undefined,
        noteAhead: async () => undefined,
        ...options,
        renew: (address, incarnation, defer) => {
          if (this.#mayRenew(address)) defer(this.renew(address, incarnation));
        },
      },
      views: new ViewCache(options.viewCharactersMax ?? LIMITS.viewCharactersMax),
      counts: new LRUCache({ max: COUNTED_TENANTS_MAX }),
      changedMs: new LRUCache({ max: COUNTED_TENANTS_MAX }),
      outage: { sinceMs: null },
    };
  }

  /**
   * The state as it is now: everything that was acknowledged before the call is in it, unless it is provisional.
   * @param version `same` is the answer if the state is this one; `any`: always, with the current version
   * @param maxStaleMs accepts an older state, at no command: one that was the newest up to this many milliseconds ago
   * @throws not_found; state_unsettled if a staged world is not drained in time; store_unavailable if there is no cached state
   * and Postgres does not answer.
   */
  async read(
    address: LogAddress,
    {
      version = null,
      maxStaleMs = 0,
      defer,
    }: { version?: Version | 'any' | null; maxStaleMs?: number; defer: Defer },
  ): Promise<StateOutcome> {
    const stale = maxStaleMs > 0 && version !== 'any' ? this.#readHeld(address, version, maxStaleMs) : null;
    if (stale !== null) return stale;
    const isWaiting = await this.#returnSpilled(address, defer);
    const outcome =
      this.#keeps && !isWaiting
        ? await readState(this.#parts, address, version, defer)
        : await this.#readElsewhere(address, defer);
    if (outcome.status !== 'elsewhere') return outcome;
    const spilled = await this.#listSpilled(address);
    return spilled.length === 0 ? outcome : readWithSpilled(this.#parts, address, spilled, outcome);
  }

  async #readElsewhere(address: LogAddress, defer: Defer): Promise<StateOutcome> {
    const outcome = await waitUntilCommitted(this.#parts, address, { defer });
    return { status: 'elsewhere', isProvisional: outcome === 'away' };
  }

  /**
   * Returns the requests that this process has spilled, if Redis is back. Then the read that follows shows them. A long return goes on
   * without the reader. @returns whether some still wait
   */
  async #returnSpilled(address: LogAddress, defer: Defer): Promise<boolean> {
    const spill = this.#spill;
    if (!spill?.isWaiting(address)) return false;
    // The process retries by itself, and logs a failure.
    const returning = spill.returnSpace(address).then(
      () => undefined,
      () => undefined,
    );
    defer(returning);
    await Promise.race([returning, this.#parts.options.pause(RETURN_WAIT_MS)]);
    if (spill.isHeld(address)) throw heldUnsettled();
    return spill.isWaiting(address);
  }

  /** @throws state_unsettled for more requests than a state can show */
  async #listSpilled(address: LogAddress): Promise<KeptRequest[]> {
    const spilled = (await this.#spill?.list(address)) ?? [];
    if (spilled === 'too_large') throw spilledUnsettled();
    return spilled;
  }

  /** The state in this process, if it is young enough and not older than the seq that the caller names. */
  #readHeld(
    { tenantId, spaceId }: LogAddress,
    version: Version | null,
    maxStaleMs: number,
  ): StateOutcome | null {
    const { views, changedMs, options } = this.#parts;
    const held = views.get({ tenantId, spaceId });
    if (held === null || (changedMs.get(tenantId) ?? 0) >= held.currentMs) return null;
    const ageMs = options.now() - held.currentMs;
    const { view, metadata, durableSeq } = held;
    if (ageMs > maxStaleMs || view.seq < (version?.seq ?? 0)) return null;
    if (version !== null && version.seq === view.seq && version.rev === metadata.rev)
      return { status: 'same', ...version, ageMs };
    return { status: 'state', view, metadata, durableSeq, ageMs };
  }

  /**
   * Resolves when Postgres has everything that the log had at the call. A caller that then reads Postgres reads every earlier
   * acknowledged write. @returns `away` if Redis is: then it may miss queued writes
   * @throws state_unsettled after 8 s, or if writes wait for Redis
   */
  async waitUntilCommitted(address: LogAddress, defer: Defer): Promise<'committed' | 'away'> {
    const isWaiting = await this.#returnSpilled(address, defer);
    const outcome = await waitUntilCommitted(this.#parts, address, { defer });
    const mayWait = isWaiting || outcome === 'away';
    if (mayWait && (await this.#listSpilled(address)).length > 0) throw spilledUnsettled();
    return outcome;
  }

  /** Writes a stale snapshot again. Nobody waits for it: a failure is reported as an event. */
  async renew(address: LogAddress, incarnation: string): Promise<void> {
    try {
      if (this.#keeps) await renewSnapshot(this.#parts, address, incarnation);
    } catch (cause) {
      this.#parts.options.onEvent({ event: 'snapshot_failed', address, cause });
    }
  }

  /** Whether it is long enough since it was renewed here; then it counts as renewed now. */
  #mayRenew({ tenantId, spaceId }: LogAddress): boolean {
    const { now, renewMs } = this.#parts.options;
    const [name, nowMs] = [`${tenantId}!${spaceId}`, now()];
    if (nowMs - (this.#renewedMs.get(name) ?? Number.NEGATIVE_INFINITY) < renewMs) return false;
    this.#renewedMs.set(name, nowMs);
    return true;
  }

  /**
   * Runs a write to data that states show but the log does not hold. When it ends, cached states of the tenant are not shown any more.
   * If Redis is away, the write runs all the same, and shows within a minute.
   * @param erases whether it removes something from the worlds
   */
  async invalidateWhile<T>(tenantId: string, write: () => Promise<T>, { erases = false } = {}): Promise<T> {
    if (!this.#keeps) return write();
    await this.#mark(tenantId, WRITE_MS_MAX, erases);
    try {
      return await write();
    } finally {
      this.#parts.changedMs.set(tenantId, this.#parts.options.now());
      await this.#mark(tenantId, null, erases);
    }
  }

  async #mark(tenantId: string, pendingMs: number | null, erases: boolean): Promise<void> {
    try {
      await this.#parts.store.markTenant(tenantId, { pendingMs, erases });
    } catch (error) {
      if (!isAway(error)) throw error;
    }
  }
}
