import { sql } from 'drizzle-orm';
import type { ViewName } from '../../analytics/reports.ts';
import type { Postgres } from '../client.ts';

/** One transaction. @returns false where another one refreshes the view now. */
export async function refreshView(postgres: Postgres, view: ViewName): Promise<boolean> {
  const [[row]] = await postgres.inTenant('', (db) => [
    db.select({ isRefreshed: sql<boolean>`is_refreshed` }).from(sql`refresh_view(${view}) as is_refreshed`),
  ]);
  return row?.isRefreshed === true;
}
