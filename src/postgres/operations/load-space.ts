import { and, asc, eq, gt, isNull, lte, sql } from 'drizzle-orm';
import type { Space } from '../../world/types.ts';
import type { Database, Postgres } from '../client.ts';
import { spaceColumns, toSpace } from '../rows.ts';
import { spaces } from '../schema/spaces.ts';

export function selectSpace(db: Database, tenantId: string, spaceId: string) {
  return db.select(spaceColumns).from(spaces).where(isLive(tenantId, spaceId));
}

/** The condition on `spaces` for one that is there and not deleted. */
export function isLive(tenantId: string, spaceId: string) {
  return and(eq(spaces.tenantId, tenantId), eq(spaces.spaceId, spaceId), isNull(spaces.deletedAt));
}

export async function loadSpace(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
): Promise<Space | null> {
  const [rows] = await postgres.inTenant(tenantId, (db) => [selectSpace(db, tenantId, spaceId)], 'snapshot');
  return rows[0] === undefined ? null : toSpace(rows[0]);
}

/** Bytes of one page of spaces on its way from the database, whose answers end at 10 MiB. */
const PAGE_BYTES_MAX = 6 * 1024 * 1024;

/** @param after the id before the page, `''` for the first. A page of large spaces is shorter than `limit`. */
export async function listSpaces(
  postgres: Postgres,
  tenantId: string,
  limit: number,
  after: string,
): Promise<{ spaces: Space[]; more: boolean }> {
  const pageEnd = sql`(select spaces_page_end(${after}, ${limit}::int, ${PAGE_BYTES_MAX}::bigint))`;
  const there = and(eq(spaces.tenantId, tenantId), isNull(spaces.deletedAt), gt(spaces.spaceId, after));
  const [rows, ahead] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select(spaceColumns)
        .from(spaces)
        .where(and(there, lte(spaces.spaceId, pageEnd)))
        .orderBy(asc(spaces.spaceId)),
      db
        .select({ id: spaces.spaceId })
        .from(spaces)
        .where(there)
        .orderBy(asc(spaces.spaceId))
        .limit(limit + 1),
    ],
    'snapshot',
  );
  return { spaces: rows.map(toSpace), more: ahead.length > rows.length };
}
