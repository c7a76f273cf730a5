import { sql } from 'drizzle-orm';
import type { Counts } from '../../metrics/metrics-stores.ts';
import { LIMITS } from '../../world/limits.ts';
import type { Postgres } from '../client.ts';

/** Adds the counts of one flush to the counts of the deployment; a repeat with the same token adds nothing. */
export async function addMetricCounts(postgres: Postgres, token: string, counts: Counts): Promise<void> {
  const added = JSON.stringify(Object.fromEntries(counts));
  await postgres.inTenant('', (db) => [
    db
      .select({ isAdded: sql<boolean>`is_added` })
      .from(
        sql`add_metric_counts(${token}, ${added}::json, ${LIMITS.metricsTokenSeconds}::integer) as is_added`,
      ),
  ]);
}
