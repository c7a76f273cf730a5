import { sql } from 'drizzle-orm';
import type { Gauge } from '../../metrics/metrics-stores.ts';
import { LIMITS } from '../../world/limits.ts';
import type { Postgres } from '../client.ts';

/** The counts of the deployment by field. */
export async function readMetricCounts(postgres: Postgres): Promise<Map<string, number>> {
  const [rows] = await postgres.inTenant(
    '',
    (db) => [
      db
        .select({ field: sql<string>`field`, count: sql<string>`count` })
        .from(sql`read_metric_counts() as counts`),
    ],
    'snapshot',
  );
  return new Map(rows.map(({ field, count }) => [field, Number(count)]));
}

/** The gauges that Postgres knows, of the whole deployment. Their cost has a limit. */
export async function readMetricGauges(postgres: Postgres): Promise<Gauge[]> {
  const [rows] = await postgres.inTenant(
    '',
    (db) => [
      db
        .select({ metric: sql<string>`metric`, label: sql<string>`label`, value: sql<string>`value` })
        .from(sql`read_metric_gauges(${LIMITS.metricsRowsMax}::integer) as gauges`),
    ],
    'snapshot',
  );
  return rows.map(({ metric, label, value }) => ({
    name: metric,
    labels: label === '' ? [] : [label],
    value: Number(value),
  }));
}
