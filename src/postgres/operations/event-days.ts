import { sql } from 'drizzle-orm';
import type { Postgres } from '../client.ts';

/** See add_event_days. */
export async function addEventDays(postgres: Postgres, from: string, days: number): Promise<number> {
  const [[row]] = await postgres.inTenant('', (db) => [
    db
      .select({ added: sql<number>`added` })
      .from(sql`add_event_days(${from}::date, ${days}::integer) as added`),
  ]);
  return Number(row?.added);
}

/** See drop_event_day. */
export async function dropEventDay(postgres: Postgres, before: string): Promise<'dropped' | 'busy' | 'none'> {
  const [[row]] = await postgres.inTenant('', (db) => [
    db
      .select({ status: sql<'dropped' | 'busy' | 'none'>`status` })
      .from(sql`drop_event_day(${before}::date) as status`),
  ]);
  return row?.status ?? 'none';
}
