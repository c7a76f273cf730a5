interface Bucket {
  tokens: number;
  atMs: number;
}

/** A subject without a bucket of its own shares this one: a full memory limits more, never less. */
const SHARED = '';
/** How often a full memory is searched for buckets that are whole again. */
const SWEEP_EVERY_MS = 1_000;

/** Buckets of tokens in memory, at most so many. The clock is the caller's. */
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

  /** Takes one token. @param limit a bucket's size, and how long an empty one takes to fill. @param nowMs never goes back. */
  take(
    name: string,
    { requests, windowSeconds }: { requests: number; windowSeconds: number },
    nowMs: number,
  ): { allowed: boolean; remaining: number; resetAtMs: number } {
    const perMs = requests / (windowSeconds * 1_000);
    const key = this.#makeRoom(name, nowMs, windowSeconds * 1_000);
    const { tokens, atMs } = this.#buckets.get(key) ?? { tokens: requests, atMs: nowMs };
    const there = Math.min(requests, tokens + Math.max(0, nowMs - atMs) * perMs);
    const allowed = there >= 1;
    const left = allowed ? there - 1 : there;
    this.#buckets.set(key, { tokens: left, atMs: nowMs });
    const remaining = Math.floor(left);
    return { allowed, remaining, resetAtMs: nowMs + Math.ceil((remaining + 1 - left) / perMs) };
  }

  #makeRoom(name: string, nowMs: number, windowMs: number): string {
    if (this.#buckets.has(name) || this.#buckets.size < this.#bucketsMax) return name;
    if (nowMs - this.#sweptAtMs >= SWEEP_EVERY_MS) {
      this.#sweptAtMs = nowMs;
      // Untouched for a whole window, a bucket is full: as good as none.
      for (const [key, { atMs }] of this.#buckets) if (nowMs - atMs >= windowMs) this.#buckets.delete(key);
    }
    return this.#buckets.size < this.#bucketsMax ? name : SHARED;
  }
}
