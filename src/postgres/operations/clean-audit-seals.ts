import { sql } from 'drizzle-orm';
import type { Cleaned } from '../../jobs/upkeep-stores.ts';
import type { Postgres } from '../client.ts';
import { readCleaned } from '../read-cleaned.ts';

/** See clean_audit_seals. */
export function cleanAuditSeals(postgres: Postgres, from: string, limit: number): Promise<Cleaned> {
  return readCleaned(postgres, sql`clean_audit_seals(${from}, ${limit}::integer)`);
}
