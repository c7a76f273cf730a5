import { and, eq, getTableColumns, sql } from 'drizzle-orm';
import type { LogAddress } from '../../log/log-stores.ts';
import type { Seq, WorldObject, WrittenObject } from '../../world/types.ts';
import type { Database, Postgres } from '../client.ts';
import { type ObjectRow, objectColumns, ofFunction, toWorldObject } from '../rows.ts';
import { spaces, worldObjects, writtenObjects } from '../schema/spaces.ts';
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
        .select({ ...columns, spaceId: ofSpace })
        .from(writtenObjects)
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
  { after, rowsMax, bytesMax = PAGE_BYTES_MAX, since = -1 }: PageQuery,
) {
  return db
    .select(ofFunction(objectColumns))
    .from(
      sql`objects_page(${spaceId}, ${since}::bigint, ${after}, ${rowsMax}::integer, ${bytesMax}::bigint) as world_objects`,
    );
}

export interface PageQuery {
  after: string;
  rowsMax: number;
  bytesMax?: number;
  /** Only what has changed since. */
  since?: Seq;
}

/** Takes off the row that says that nothing is left behind a page: it has no id, nor anything else. */
export function takeEnd<Row extends ObjectRow>(rows: Row[]): { rows: Row[]; ended: boolean } {
  const last: { objectId: string | null } | undefined = rows.at(-1);
  const ended = last !== undefined && last.objectId === null;
  return { rows: ended ? rows.slice(0, -1) : rows, ended };
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
