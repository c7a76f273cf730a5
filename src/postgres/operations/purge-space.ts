import { sql } from 'drizzle-orm';
import type { DeletedSpace } from '../../jobs/upkeep-stores.ts';
import type { Postgres } from '../client.ts';

/** See list_deleted_spaces. */
export async function listDeletedSpaces(
  postgres: Postgres,
  before: Date,
  from: string,
  limit: number,
): Promise<{ found: DeletedSpace[]; next: string | null }> {
  const [[row]] = await postgres.inTenant('', (db) => [
    db
      .select({ found: sql<DeletedSpace[]>`deleted`, next: sql<string | null>`next` })
      .from(sql`list_deleted_spaces(${before.toISOString()}::timestamptz, ${from}, ${limit}::integer)`),
  ]);
  return { found: row?.found ?? [], next: row?.next ?? null };
}

/** See purge_space. */
export async function purgeSpace(
  postgres: Postgres,
  { tenantId, spaceId, incarnation }: DeletedSpace,
  before: Date,
  limit: number,
): Promise<{ status: 'continues' | 'gone' | 'kept'; removed: number }> {
  const [[row]] = await postgres.inTenant('', (db) => [
    db
      .select({ status: sql<'continues' | 'gone' | 'kept'>`status`, removed: sql<number>`removed` })
      .from(
        sql`purge_space(${tenantId}, ${spaceId}, ${incarnation}, ${before.toISOString()}::timestamptz, ${limit}::integer)`,
      ),
  ]);
  return { status: row?.status ?? 'kept', removed: Number(row?.removed) };
}
