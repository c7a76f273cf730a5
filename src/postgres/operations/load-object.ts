import { and, eq, getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { LogAddress } from '../../log/log-stores.ts';
import type { Bounds, Seq, WorldObject, WrittenObject } from '../../world/types.ts';
import type { Database, Postgres } from '../client.ts';
import { CREATOR, type ObjectRow, objectColumns, toWorldObject, UPDATER } from '../rows.ts';
import { spaces, worldObjects, writtenObjects } from '../schema/spaces.ts';
import { isLive } from './load-space.ts';

export function selectObject(db: Database, tenantId: string, spaceId: string, objectId: string) {
  return db
    .select({ ...objectColumns, generationSeq: spaces.generationSeq, spaceId: spaces.spaceId })
    .from(spaces)
    .innerJoin(worldObjects, and(isInWorld(), eq(worldObjects.objectId, objectId)))
    .leftJoin(...CREATOR)
    .leftJoin(...UPDATER)
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

/** An object as the entry at `seq` left it. @returns null where none was stored, or not any more. */
export async function readWritten(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  seq: Seq,
): Promise<WrittenObject | null> {
  const { tenantId: ofTenant, spaceId: ofSpace, createdAt: _, ...columns } = getTableColumns(writtenObjects);
  const [rows] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({
          ...columns,
          createdBy: objectColumns.createdBy,
          updatedBy: objectColumns.updatedBy,
          spaceId: ofSpace,
        })
        .from(writtenObjects)
        .leftJoin(sql`authors as creator`, sql`creator.number = ${writtenObjects.createdBy}`)
        .leftJoin(sql`authors as updater`, sql`updater.number = ${writtenObjects.updatedBy}`)
        .where(and(eq(ofTenant, tenantId), eq(ofSpace, spaceId), eq(writtenObjects.seq, seq))),
    ],
    'snapshot',
  );
  return toWritten(rows[0]);
}

/** Of a row that a write has just left: neither of its seqs is that of its generation. */
export function toWritten(row: (ObjectRow & { spaceId: string }) | undefined): WrittenObject | null {
  if (row === undefined) return null;
  return { object: toWorldObject(row, row.spaceId, row.createdSeq), createdSeq: row.createdSeq };
}

/** Bytes of one page of objects on its way from the database, whose answers end at 10 MiB. */
export const PAGE_BYTES_MAX = 6 * 1024 * 1024;

/** The objects after an id, in the order of their ids; `takeEnd` says whether any are left behind them. */
export function selectObjectsPage(
  db: Database,
  spaceId: string,
  { after, rowsMax, bytesMax = PAGE_BYTES_MAX, since = -1, box }: PageQuery,
) {
  return db
    .select(objectColumns)
    .from(sql`${callObjectsPage(spaceId, { after, rowsMax, bytesMax, since, box })} as world_objects`)
    .leftJoin(...CREATOR)
    .leftJoin(...UPDATER)
    .orderBy(sql`world_objects.object_id`);
}

export function callObjectsPage(
  spaceId: string,
  { after, rowsMax, bytesMax = PAGE_BYTES_MAX, since = -1, box }: PageQuery,
): SQL {
  const { min, max } = box ?? {};
  const sides =
    min === undefined || max === undefined
      ? null
      : `{${[min.x, max.x, min.y, max.y, min.z, max.z].join(',')}}`;
  return sql`objects_page(${spaceId}, ${since}::bigint, ${sides}::float8[], ${after}, ${rowsMax}::integer, ${bytesMax}::bigint)`;
}

export interface PageQuery {
  after: string;
  rowsMax: number;
  bytesMax?: number;
  /** Only what has changed since. */
  since?: Seq | undefined;
  /** Only what is in it. */
  box?: Bounds | undefined;
}

/** Takes off the row that says that nothing is left behind a page: it has no id, nor anything else. */
export function takeEnd<Row extends ObjectRow>(rows: Row[]): { rows: Row[]; ended: boolean } {
  const last: { objectId: string | null } | undefined = rows.at(-1);
  const ended = last !== undefined && last.objectId === null;
  return { rows: ended ? rows.slice(0, -1) : rows, ended };
}

/** The condition that an object's row is of its space's world. */
export function isInWorld() {
  return eq(worldObjects.world, spaces.world);
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
  const [[space], page] = await postgres.inTenant(
    tenantId,
    (db) => [
      db.select({ generationSeq: spaces.generationSeq }).from(spaces).where(isLive(tenantId, spaceId)),
      selectObjectsPage(db, spaceId, { after, rowsMax: limit }),
    ],
    'snapshot',
  );
  if (space === undefined) return null;
  const { rows, ended } = takeEnd(page);
  return { objects: rows.map((row) => toWorldObject(row, spaceId, space.generationSeq)), more: !ended };
}
