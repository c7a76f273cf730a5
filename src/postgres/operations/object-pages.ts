import { count, sql } from 'drizzle-orm';
import { boundRegion, type CellRange, toCells } from '../../world/region.ts';
import type { WorldSelection } from '../../world/state-lines.ts';
import type { Bounds } from '../../world/types.ts';
import type { Database } from '../client.ts';
import { type ObjectRow, objectColumns, ofFunction } from '../rows.ts';
import { spaces, worldObjects } from '../schema/spaces.ts';
import { isInWorld, selectObjectsPage } from './load-object.ts';
import { isLive } from './load-space.ts';

export interface WorldReading extends WorldSelection {
  /** Objects and bytes (as they travel) of one page, which is what is held at a time. */
  pageRowsMax: number;
  pageBytesMax: number;
}

/** Where a page begins: behind an object, in a column of cells where pages go by cells. */
export interface Place {
  after: string;
  cellX: number | null;
  cellZ: number | null;
}

export interface Page {
  /** Of the whole world where the region is too wide for cells: each is to be compared with the region. */
  rows: ObjectRow[];
  /** Null where no object is left. */
  next: Place | null;
}

/** The pages of a reading: the queries for them, and what each says of the next. */
export interface Pages {
  /** For the transaction that reads the first page, which may be the only one. */
  selectFirst(db: Database): readonly PromiseLike<unknown[]>[];
  readFirst(results: readonly unknown[][]): Page;
  select(db: Database, from: Place): PromiseLike<unknown[]>;
  read(rows: unknown[]): Page;
}

const BEGINNING: Place = { after: '', cellX: null, cellZ: null };
const NOTHING: Page = { rows: [], next: null };

export function choosePages(tenantId: string, spaceId: string, reading: WorldReading): Pages {
  if (reading.withObjects === false)
    return {
      selectFirst: () => [],
      readFirst: () => NOTHING,
      select: () => Promise.resolve([]),
      read: () => NOTHING,
    };
  const box = reading.region === undefined ? null : boundRegion(reading.region);
  const cells = box === null ? null : toCells(box);
  return box === null || cells === null
    ? pagesById(tenantId, spaceId, reading)
    : pagesByCells(spaceId, reading, box, cells);
}

function pagesById(tenantId: string, spaceId: string, { pageRowsMax, pageBytesMax }: WorldReading): Pages {
  const select = (db: Database, { after }: Place) =>
    selectObjectsPage(db, tenantId, spaceId, after, pageRowsMax, pageBytesMax);
  const read = (rows: unknown[]): Page => {
    const after = (rows as ObjectRow[]).at(-1)?.objectId;
    return { rows: rows as ObjectRow[], next: after === undefined ? null : { ...BEGINNING, after } };
  };
  return {
    selectFirst: (db) => [
      select(db, BEGINNING),
      db
        .select({ n: count() })
        .from(worldObjects)
        .innerJoin(spaces, isInWorld())
        .where(isLive(tenantId, spaceId)),
    ],
    readFirst([rows = [], counted]) {
      const [total] = counted as { n: number }[];
      const page = read(rows);
      return rows.length >= (total?.n ?? 0) ? { ...page, next: null } : page;
    },
    select,
    read,
  };
}

type CellRow = ObjectRow & { cellX: number; cellZ: number };

function pagesByCells(
  spaceId: string,
  { pageRowsMax, pageBytesMax }: WorldReading,
  { min, max }: Bounds,
  { x, y, z }: CellRange,
): Pages {
  const cells = `{${[...x, ...y, ...z].join(',')}}`;
  const box = `{${[min.x, max.x, min.y, max.y, min.z, max.z].join(',')}}`;
  const select = (db: Database, { after, cellX, cellZ }: Place) =>
    db
      .select(ofFunction({ ...objectColumns, cellX: worldObjects.cellX, cellZ: worldObjects.cellZ }))
      .from(
        sql`region_page(${spaceId}, ${cells}::integer[], ${box}::float8[], ${cellX}::integer, ${cellZ}::integer, ${after === '' ? null : after}, ${pageRowsMax}::integer, ${pageBytesMax}::bigint) as world_objects`,
      );
  const read = (results: unknown[]): Page => {
    const { rows, ended } = takeEnd(results as CellRow[]);
    const last = rows.at(-1);
    if (ended || last === undefined) return { rows, next: null };
    return { rows, next: { after: last.objectId, cellX: last.cellX, cellZ: last.cellZ } };
  };
  return {
    selectFirst: (db) => [select(db, BEGINNING)],
    readFirst: ([rows = []]) => read(rows),
    select,
    read,
  };
}

/** Takes off the row that says that nothing is left behind a page: it has no id, nor anything else. */
export function takeEnd<Row extends ObjectRow>(rows: Row[]): { rows: Row[]; ended: boolean } {
  const last: { objectId: string | null } | undefined = rows.at(-1);
  const ended = last !== undefined && last.objectId === null;
  return { rows: ended ? rows.slice(0, -1) : rows, ended };
}
