import { boundRegion } from '../../world/region.ts';
import type { WorldSelection } from '../../world/state-lines.ts';
import type { Database } from '../client.ts';
import type { ObjectRow } from '../rows.ts';
import { selectObjectsPage, takeEnd } from './load-object.ts';

export interface WorldReading extends WorldSelection {
  /** Objects and bytes (as they travel) of one page, which is what is held at a time. */
  pageRowsMax: number;
  pageBytesMax: number;
}

export interface Page {
  /** Of a region: all that is in the box around it. Each is to be compared with the region. */
  rows: ObjectRow[];
  /** The id behind which the next page begins; null where no object is left. */
  next: string | null;
}

/** The page behind an id. */
export function selectPage(
  db: Database,
  spaceId: string,
  { region, pageRowsMax: rowsMax, pageBytesMax: bytesMax }: WorldReading,
  after: string,
) {
  const box = region === undefined ? undefined : boundRegion(region);
  return selectObjectsPage(db, spaceId, { after, rowsMax, bytesMax, box });
}

export function readPage(results: unknown[]): Page {
  const { rows, ended } = takeEnd(results as ObjectRow[]);
  return { rows, next: ended ? null : (rows.at(-1)?.objectId ?? null) };
}
