/** The answer of GET /health. */
export interface Health {
  /** `degraded`: worlds are served, and a store is away. `down`: they are not. */
  status: 'ok' | 'degraded' | 'down';
  /** Which stores answer; a cache that is not configured does not. */
  persistence: { database: boolean; cache: boolean };
  /** Since when this process has found a store away; null: it answers, or it is not configured. */
  awaySince: { database: string | null; cache: string | null };
  /** Of one tenant; null where the database did not say in time, which is not the same as none. */
  worldState: { users: number | null; objects: number | null; models: number | null };
  /** Operations that went through the log, and milliseconds from append to commit; without a Redis nothing is queued. */
  batchProcessor: {
    processed: number;
    queued: number;
    averageLatency: number;
    /** Of those processed, what came to nothing: an object that was not there, a condition that did not hold. */
    noEffect: number;
  };
  durabilityLagMs: number;
  /**
   * Whether the log takes writes. `evicts`: Redis is set to lose what is queued, so nothing is. `full`: it has no memory left,
   * or almost none. Drains continue in both.
   */
  log: 'ok' | 'evicts' | 'full' | 'away' | 'none';
}
