import { sql } from 'drizzle-orm';
import type { Postgres } from '../client.ts';

/** See add_audit_days. */
export async function addAuditDays(postgres: Postgres): Promise<number> {
  const [[row]] = await postgres.inTenant('', (db) => [
    db.select({ added: sql<number>`added` }).from(sql`add_audit_days() as added`),
  ]);
  return Number(row?.added);
}

/** See drop_audit_day. */
export async function dropAuditDay(postgres: Postgres): Promise<'dropped' | 'busy' | 'none'> {
  const [[row]] = await postgres.inTenant('', (db) => [
    db.select({ status: sql<'dropped' | 'busy' | 'none'>`status` }).from(sql`drop_audit_day() as status`),
  ]);
  return row?.status ?? 'none';
}
