import type { Sample } from './rates.ts';

/** The answer of GET /v1/operations. */
export interface Operations {
  at: string;
  tenant: {
    appended: number;
    drained: number;
    pendingEntries: number;
    pendingOperations: number;
    pendingBytes: number;
    oldestPendingMs: number;
    spilled: number;
    streams: number;
  };
  health: StoreHealth;
  spaces: ActiveSpace[];
  /** Null: the key is not of the operator's tenant. */
  deployment: Deployment | null;
}

export interface StoreHealth {
  persistence: { database: boolean; cache: boolean };
  awaySince: { database: string | null; cache: string | null };
}

export interface ActiveSpace {
  id: string;
  pendingEntries: number;
  appended: number;
  streams: number;
}

export interface Deployment {
  appended: number;
  drained: number;
  cacheHits: number;
  cacheMisses: number;
  streams: number;
  requests: number;
  latency: { le: number[]; counts: number[] };
}

export function readSample({ at, tenant, deployment }: Operations): Sample {
  return {
    atMs: Date.parse(at),
    appended: tenant.appended,
    drained: tenant.drained,
    lagMs: tenant.oldestPendingMs,
    pending: tenant.pendingOperations,
    streams: tenant.streams,
    deployment: deployment && {
      hits: deployment.cacheHits,
      misses: deployment.cacheMisses,
      latency: { bounds: deployment.latency.le, counts: deployment.latency.counts },
    },
  };
}
