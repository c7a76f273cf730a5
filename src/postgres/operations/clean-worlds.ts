import { sql } from 'drizzle-orm';
import type { Cleaned } from '../../jobs/upkeep-stores.ts';
import type { Postgres } from '../client.ts';
import { readCleaned } from '../read-cleaned.ts';

/** See clean_worlds: rows of worlds that no space and no stage names. */
export function cleanWorlds(postgres: Postgres, from: string, limit: number): Promise<Cleaned> {
  return readCleaned(postgres, sql`clean_worlds(${from}, ${limit}::integer)`);
}
