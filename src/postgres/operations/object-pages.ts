import { sql } from 'drizzle-orm';
import { boundRegion, type CellRange, toCells } from '../../world/region.ts';
import type { WorldSelection } from '../../world/state-lines.ts';
import type { Bounds } from '../../world/types.ts';
import type { Database } from '../client.ts';
import { type ObjectRow, objectColumns, ofFunction } from '../rows.ts';
import { worldObjects } from '../schema/spaces.ts';
import { selectObjectsPage, takeEnd } from './load-object.ts';

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
  select(db: Database, from: Place): PromiseLike<unknown[]>;
  read(rows: unknown[]): Page;
}

export const BEGINNING: Place = { after: '', cellX: null, cellZ: null };
/** @returns null where no objects are asked for. */
export function choosePages(spaceId: string, reading: WorldReading): Pages | null {
  if (reading.withObjects === false) return null;
  const box = reading.region === undefined ? null : boundRegion(reading.region);
  const cells = box === null ? null : toCells(box);
  return box === null || cells === null
    ? pagesById(spaceId, reading)
    : pagesByCells(spaceId, reading, box, cells);
}

function pagesById(spaceId: string, { pageRowsMax: rowsMax, pageBytesMax: bytesMax }: WorldReading): Pages {
  const select = (db: Database, { after }: Place) =>
    selectObjectsPage(db, spaceId, { after, rowsMax, bytesMax });
  const read = (results: unknown[]): Page => {
    const { rows, ended } = takeEnd(results as ObjectRow[]);
    const after = ended ? undefined : rows.at(-1)?.objectId;
    return { rows, next: after === undefined ? null : { ...BEGINNING, after } };
  };
  return { select, read };
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
  return { select, read };
}
