import { and, asc, eq, gt, lte, sql } from 'drizzle-orm';
import type { WorldObject } from '../../world/types.ts';
import type { Database, Postgres } from '../client.ts';
import { objectColumns, toWorldObject } from '../rows.ts';
import { spaces, worldObjects } from '../schema/spaces.ts';
import { isLive } from './load-space.ts';

export function selectObject(db: Database, tenantId: string, spaceId: string, objectId: string) {
  return db
    .select({ ...objectColumns, generationSeq: spaces.generationSeq, spaceId: spaces.spaceId })
    .from(spaces)
    .innerJoin(worldObjects, and(isInWorld(), eq(worldObjects.objectId, objectId)))
    .where(isLive(tenantId, spaceId));
}

export async function loadObject(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
  objectId: string,
): Promise<WorldObject | null> {
  const [rows] = await postgres.inTenant(
    tenantId,
    (db) => [selectObject(db, tenantId, spaceId, objectId)],
    'snapshot',
  );
  const row = rows[0];
  return row === undefined ? null : toWorldObject(row, spaceId, row.generationSeq);
}

/** Bytes of one page of objects on its way from the database, whose answers end at 10 MiB. */
export const PAGE_BYTES_MAX = 6 * 1024 * 1024;

export function selectObjectsPage(
  db: Database,
  tenantId: string,
  spaceId: string,
  after: string,
  rowsMax: number,
  bytesMax: number = PAGE_BYTES_MAX,
) {
  const pageEnd = sql`(select objects_page_end(${spaceId}, ${after}, ${rowsMax}::int, ${bytesMax}::bigint))`;
  return db
    .select(objectColumns)
    .from(spaces)
    .innerJoin(worldObjects, isInWorld())
    .where(
      and(isLive(tenantId, spaceId), gt(worldObjects.objectId, after), lte(worldObjects.objectId, pageEnd)),
    )
    .orderBy(asc(worldObjects.objectId));
}

/** The condition that an object's row is of the generation that is its space's world. */
export function isInWorld() {
  return and(
    eq(worldObjects.tenantId, spaces.tenantId),
    eq(worldObjects.spaceId, spaces.spaceId),
    eq(worldObjects.generation, spaces.generation),
  );
}

/**
 * A page of at most `limit` objects after an id; fewer where they are large. @returns null where there is no such space.
 */
export async function listObjects(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
  limit: number,
  after: string,
): Promise<{ objects: WorldObject[]; more: boolean } | null> {
  const [[space], rows, ahead] = await postgres.inTenant(
    tenantId,
    (db) => [
      db.select({ generationSeq: spaces.generationSeq }).from(spaces).where(isLive(tenantId, spaceId)),
      selectObjectsPage(db, tenantId, spaceId, after, limit),
      db
        .select({ id: worldObjects.objectId })
        .from(spaces)
        .innerJoin(worldObjects, isInWorld())
        .where(and(isLive(tenantId, spaceId), gt(worldObjects.objectId, after)))
        .orderBy(worldObjects.objectId)
        .limit(limit + 1),
    ],
    'snapshot',
  );
  if (space === undefined) return null;
  const objects = rows.map((row) => toWorldObject(row, spaceId, space.generationSeq));
  return { objects, more: ahead.length > objects.length };
}
