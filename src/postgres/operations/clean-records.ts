import { type SQL, sql } from 'drizzle-orm';
import type { Cleaned, RecordKind } from '../../jobs/upkeep-stores.ts';
import type { Retention } from '../../log/log-stores.ts';
import { LIMITS } from '../../world/limits.ts';
import type { Postgres } from '../client.ts';
import { readCleaned } from '../read-cleaned.ts';

/** See clean_records: rows of one kind that are over their time. */
export async function cleanRecords(
  postgres: Postgres,
  kind: RecordKind,
  before: Date | SQL,
  from: string,
  limit: number,
): Promise<Cleaned> {
  const moment = before instanceof Date ? sql`${before.toISOString()}::timestamptz` : before;
  return readCleaned(postgres, sql`clean_records(${kind}, ${moment}, ${from}, ${limit}::integer)`);
}

/** Removes the records of drains that are over their time, of all tenants, batch by batch. @returns how many rows went. */
export async function sweepAllRecords(
  postgres: Postgres,
  { resultsSeconds, deadLetterDays }: Retention,
): Promise<number> {
  const kinds = [
    ['results', sql`now() - make_interval(secs => ${resultsSeconds}::integer)`],
    ['written', sql`now() - make_interval(secs => ${LIMITS.writtenObjectsKeptMs / 1_000}::integer)`],
    ['dead_letters', sql`now() - make_interval(days => ${deadLetterDays}::integer)`],
  ] as const;
  let removed = 0;
  for (const [kind, before] of kinds)
    for (let from: string | null = ''; from !== null; ) {
      const cleaned: Cleaned = await cleanRecords(postgres, kind, before, from, LIMITS.cleanupRowsMax);
      removed += cleaned.removed;
      from = cleaned.next;
    }
  return removed;
}
