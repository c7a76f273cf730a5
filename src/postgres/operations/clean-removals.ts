import { sql } from 'drizzle-orm';
import type { Cleaned } from '../../jobs/upkeep-stores.ts';
import type { Postgres } from '../client.ts';
import { readCleaned } from '../read-cleaned.ts';

/** See clean_removals: notes of objects that were removed before a time. */
export function cleanRemovals(
  postgres: Postgres,
  before: Date,
  from: string,
  limit: number,
): Promise<Cleaned> {
  const seq = before.getTime() * 1_000;
  return readCleaned(postgres, sql`clean_removals(${seq}::bigint, ${from}, ${limit}::integer)`);
}
