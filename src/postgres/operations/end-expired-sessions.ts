import { sql } from 'drizzle-orm';
import type { Postgres } from '../client.ts';

/** See end_expired_sessions. @returns how many sessions were ended */
export async function endExpiredSessions(
  postgres: Postgres,
  writesEvents: boolean,
  limit: number,
): Promise<number> {
  const [[row]] = await postgres.inTenant('', (db) => [
    db
      .select({ ended: sql<number>`ended` })
      .from(sql`end_expired_sessions(${limit}::integer, ${writesEvents}::boolean) as ended`),
  ]);
  return Number(row?.ended);
}
