interface Bucket {
  tokens: number;
  atMs: number;
}

/** Subjects without a bucket of their own share this one. So full memory makes the limit stricter, never weaker. */
const SHARED = '';
/** The time between two searches for full buckets, while there is no room. */
const SWEEP_EVERY_MS = 1_000;

/** A limited number of token buckets in memory. The caller gives the time. */
export class ProcessBuckets {
  readonly #bucketsMax: number;
  readonly #buckets = new Map<string, Bucket>();
  #sweptAtMs = Number.NEGATIVE_INFINITY;

  constructor(bucketsMax: number) {
    this.#bucketsMax = bucketsMax;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /**
   * Takes one token, or `count`, or none if fewer are left. @param limit a bucket's size, and how long an empty one takes to fill.
   * @param nowMs never goes back.
   */
  take(
    name: string,
    { requests, windowSeconds }: { requests: number; windowSeconds: number },
    nowMs: number,
    count = 1,
  ): { allowed: boolean; remaining: number; resetAtMs: number } {
    const perMs = requests / (windowSeconds * 1_000);
    const key = this.#makeRoom(name, nowMs, windowSeconds * 1_000);
    const { tokens, atMs } = this.#buckets.get(key) ?? { tokens: requests, atMs: nowMs };
    const there = Math.min(requests, tokens + Math.max(0, nowMs - atMs) * perMs);
    const allowed = there >= count;
    const left = allowed ? there - count : there;
    this.#buckets.set(key, { tokens: left, atMs: nowMs });
    const remaining = Math.floor(left);
    return { allowed, remaining, resetAtMs: nowMs + Math.ceil((remaining + 1 - left) / perMs) };
  }

  #makeRoom(name: string, nowMs: number, windowMs: number): string {
    if (this.#buckets.has(name) || this.#buckets.size < this.#bucketsMax) return name;
    if (nowMs - this.#sweptAtMs >= SWEEP_EVERY_MS) {
      this.#sweptAtMs = nowMs;
      // A bucket without use for a whole window is full, so it is not needed.
      for (const [key, { atMs }] of this.#buckets) if (nowMs - atMs >= windowMs) this.#buckets.delete(key);
    }
    return this.#buckets.size < this.#bucketsMax ? name : SHARED;
  }
}
