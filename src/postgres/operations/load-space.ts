import { and, asc, eq, gt, isNull } from 'drizzle-orm';
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
  const [rows] = await postgres.inTenant(tenantId, (db) => [selectSpace(db, tenantId, spaceId)]);
  return rows[0] === undefined ? null : toSpace(rows[0]);
}

/** @param after the id before the page, `''` for the first. */
export async function listSpaces(
  postgres: Postgres,
  tenantId: string,
  limit: number,
  after: string,
): Promise<Space[]> {
  const [rows] = await postgres.inTenant(tenantId, (db) => [
    db
      .select(spaceColumns)
      .from(spaces)
      .where(and(eq(spaces.tenantId, tenantId), gt(spaces.spaceId, after), isNull(spaces.deletedAt)))
      .orderBy(asc(spaces.spaceId))
      .limit(limit),
  ]);
  return rows.map(toSpace);
}
