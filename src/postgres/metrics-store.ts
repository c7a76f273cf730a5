import type { SpilledStore } from '../metrics/figures-stores.ts';
import type { CounterStore, GaugeStore } from '../metrics/metrics-stores.ts';
import type { Postgres } from './client.ts';
import { addMetricCounts } from './operations/add-metric-counts.ts';
import { countSpilled } from './operations/count-spilled.ts';
import { readMetricCounts, readMetricGauges } from './operations/read-metrics.ts';

/** The counts of a deployment without a Redis. Each method is one transaction. */
export function createPostgresCounters(postgres: Postgres): CounterStore {
  return {
    add: (...args) => addMetricCounts(postgres, ...args),
    read: () => readMetricCounts(postgres),
  };
}

export function createPostgresGauges(postgres: Postgres): GaugeStore {
  return { readGauges: () => readMetricGauges(postgres) };
}

export function createSpilledStore(postgres: Postgres): SpilledStore {
  return { countSpilled: (tenantId) => countSpilled(postgres, tenantId) };
}
