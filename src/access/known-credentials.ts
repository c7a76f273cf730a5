import { LRUCache } from 'lru-cache';
import { isAway } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';

/** Credentials remembered in one process at most. Above it, the one used longest ago is forgotten. */
const KNOWN_MAX = 10_000;

export interface KnownCredentialsOptions<Found> {
  /** Milliseconds since 1970. */
  now: () => number;
  /** For how long a credential serves without another lookup: so long one revoked elsewhere may still serve. */
  cacheMs: number;
  isValid(found: Found, nowMs: number): boolean;
}

/** `askedAt`: when the store was last asked, whether it answered or not. */
interface Known<Found> {
  found: Found;
  foundAt: number;
  askedAt: number;
}

/**
 * The credentials that this process has found to be good, in memory alone. A lookup of one of them is free: no flood of
 * unknown credentials makes it fail. Only a credential that was never good here passes `beforeLookup`.
 */
export class KnownCredentials<Found> {
  readonly #options: KnownCredentialsOptions<Found>;
  readonly #known = new LRUCache<string, Known<Found>>({ max: KNOWN_MAX });

  constructor(options: KnownCredentialsOptions<Found>) {
    this.#options = options;
  }

  /**
   * @param beforeLookup called before the store is asked about a credential that was never good here; its error goes on.
   * @returns null for one that is unknown, revoked or expired.
   * @throws store_unavailable
   */
  async find(
    name: string,
    lookUp: () => Promise<Found | null>,
    beforeLookup?: () => void,
  ): Promise<Found | null> {
    const { cacheMs, isValid } = this.#options;
    const now = this.#options.now();
    const known = this.#known.get(name);
    if (known !== undefined && now - known.askedAt < cacheMs)
      return isValid(known.found, now) ? known.found : null;
    if (known === undefined) beforeLookup?.();
    let found: Found | null;
    try {
      found = await lookUp();
    } catch (error) {
      // While the database is away, what was good serves for a while: its writes are queued.
      if (known === undefined || !isAway(error) || now - known.foundAt >= LIMITS.credentialStaleMsMax)
        throw error;
      known.askedAt = now;
      return isValid(known.found, now) ? known.found : null;
    }
    if (found === null || !isValid(found, now)) {
      this.#known.delete(name);
      return null;
    }
    this.#known.set(name, { found, foundAt: now, askedAt: now });
    return found;
  }

  delete(name: string): void {
    this.#known.delete(name);
  }

  forget(isGone: (found: Found) => boolean): void {
    for (const [name, { found }] of this.#known) if (isGone(found)) this.#known.delete(name);
  }
}
