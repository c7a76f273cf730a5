import { sql } from 'drizzle-orm';
import type { Retention } from '../../log/log-stores.ts';
import { LIMITS } from '../../world/limits.ts';
import type { Postgres } from '../client.ts';

/** Removes a tenant's records that are over their time. @returns how many rows went. */
export async function sweepRecords(
  postgres: Postgres,
  tenantId: string,
  { resultsSeconds, deadLetterDays }: Retention,
): Promise<number> {
  const [[row]] = await postgres.inTenant(tenantId, (db) => [
    db
      .select({ removed: sql<string>`removed` })
      .from(
        sql`sweep_log_records(${tenantId}, ${resultsSeconds}::integer, ${deadLetterDays}::integer, ${LIMITS.chatDeletedKeptDays}::integer) as removed`,
      ),
  ]);
  return Number(row?.removed);
}

/** The same for all tenants. */
export async function sweepAllRecords(
  postgres: Postgres,
  { resultsSeconds, deadLetterDays }: Retention,
): Promise<number> {
  const [[row]] = await postgres.inTenant('', (db) => [
    db
      .select({ removed: sql<string>`removed` })
      .from(
        sql`sweep_all_log_records(${resultsSeconds}::integer, ${deadLetterDays}::integer, ${LIMITS.chatDeletedKeptDays}::integer) as removed`,
      ),
  ]);
  return Number(row?.removed);
}
