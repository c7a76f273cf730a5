import { type SQL, sql } from 'drizzle-orm';
import type { Cleaned } from '../jobs/upkeep-stores.ts';
import type { Postgres } from './client.ts';

/** Calls a function that removes rows, and tells where the next call goes on. */
export async function readCleaned(postgres: Postgres, call: SQL): Promise<Cleaned> {
  const [[row]] = await postgres.inTenant('', (db) => [
    db.select({ removed: sql<number>`removed`, next: sql<string | null>`next` }).from(call),
  ]);
  return { removed: Number(row?.removed), next: row?.next ?? null };
}
