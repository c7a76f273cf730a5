import type { Histogram, Sample } from './rates.ts';

/** The answer of GET /v1/operations. Null: the store that knows the figure is away. */
export interface Operations {
  at: string;
  health: StoreHealth;
  tenant: {
    appended: number | null;
    drained: number | null;
    pendingSpaces: number | null;
    pendingOperations: number | null;
    pendingEntries: number | null;
    pendingBytes: number | null;
    oldestPendingMs: number | null;
    spilled: number | null;
    streams: number | null;
  };
  spaces: ActiveSpace[];
  /** Null: the key is not of the operator's tenant. */
  deployment: Deployment | null;
}

export interface StoreHealth {
  status: 'ok' | 'degraded' | 'down';
  persistence: { database: boolean; cache: boolean };
  awaySince: { database: string | null; cache: string | null };
}

export interface ActiveSpace {
  id: string;
  appended: number;
  pendingOperations: number;
  oldestPendingMs: number;
  streams: number;
  sessions: number;
}

/** Without a METRICS_TOKEN, the server counts neither reads nor latencies. */
export interface Deployment {
  streams: number | null;
  pendingSpaces: number | null;
  cacheHits: number | null;
  cacheMisses: number | null;
  latency: Record<'append' | 'read' | 'commit', Buckets> | null;
}

interface Buckets {
  le: number[];
  counts: number[];
  count: number;
}

export function readSample({ at, tenant, deployment }: Operations): Sample {
  const { cacheHits = null, cacheMisses = null, latency = null } = deployment ?? {};
  return {
    atMs: Date.parse(at),
    appended: tenant.appended,
    drained: tenant.drained,
    lagMs: tenant.oldestPendingMs,
    pending: tenant.pendingOperations,
    streams: tenant.streams,
    hits: cacheHits,
    misses: cacheMisses,
    append: latency && readHistogram(latency.append),
    read: latency && readHistogram(latency.read),
    commit: latency && readHistogram(latency.commit),
  };
}

/** In milliseconds, and with the bucket above the last bound. */
function readHistogram({ le, counts, count }: Buckets): Histogram {
  return { bounds: le.map((seconds) => seconds * 1_000), counts: [...counts, count] };
}
