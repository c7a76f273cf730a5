import { sql } from 'drizzle-orm';
import { rememberLast, seqToTime } from '../../world/seq-time.ts';
import type { Seq } from '../../world/types.ts';
import type { Database } from '../client.ts';
import { CREATOR, objectColumns, UPDATER } from '../rows.ts';
import { callObjectsPage } from './load-object.ts';

/** An object on its way to be shown as JSON: what Postgres can print is printed there, and read by nobody on the way. */
export interface TextRow {
  /** Null of the row that says that nothing is left behind the page. */
  id: string | null;
  /** As JSON. */
  name: string | null;
  modelId: string | null;
  parentId: string | null;
  /** Position, rotation, scale, with commas between: what is the same in every row does not travel with each. */
  numbers: string;
  properties: string;
  seq: string | number;
  createdSeq: string | number;
  createdBy: string | null;
  updatedBy: string | null;
}

/** The first page of a space's objects, as `selectObjectsPage` has it. */
export function selectObjectTexts(db: Database, spaceId: string, rowsMax: number) {
  return db
    .select({
      id: sql<string | null>`object_id`,
      name: sql<string | null>`to_json(name)::text`,
      modelId: sql<string | null>`model_id`,
      parentId: sql<string | null>`parent_id`,
      numbers: sql<string>`concat_ws(',', position_x, position_y, position_z,
        rotation_x, rotation_y, rotation_z, rotation_w, scale_x, scale_y, scale_z)`,
      properties: sql<string>`properties::text`,
      seq: sql<string>`seq`,
      createdSeq: sql<string>`created_seq`,
      createdBy: objectColumns.createdBy,
      updatedBy: objectColumns.updatedBy,
    })
    .from(sql`${callObjectsPage(spaceId, { after: '', rowsMax })} as world_objects`)
    .leftJoin(...CREATOR)
    .leftJoin(...UPDATER)
    .orderBy(sql`object_id`);
}

/**
 * Each object's JSON by its id, to the letter as `JSON.stringify` has it of `toWorldObject`.
 * @param generationSeq the seq that a row's 0 means
 */
export function toObjectTexts(
  rows: readonly TextRow[],
  spaceId: string,
  generationSeq: Seq,
): Map<string, string> {
  // Objects of one save share both times.
  const [toCreated, toUpdated] = [rememberLast(seqToTime), rememberLast(seqToTime)];
  const texts = new Map<string, string>();
  for (const { id, name, numbers, properties, ...row } of rows) {
    if (id === null) continue;
    const seq = Number(row.seq) || generationSeq;
    const [px, py, pz, rx, ry, rz, rw, sx, sy, sz] = printNumbers(numbers);
    texts.set(
      id,
      `{"id":"${id}","spaceId":"${spaceId}","name":${name},"modelId":${printId(row.modelId)},"parentId":${printId(row.parentId)},` +
        `"position":{"x":${px},"y":${py},"z":${pz}},"rotation":{"x":${rx},"y":${ry},"z":${rz},"w":${rw}},` +
        `"scale":{"x":${sx},"y":${sy},"z":${sz}},"properties":${printJson(properties)},"seq":${seq},` +
        `"createdBy":${printId(row.createdBy)},"updatedBy":${printId(row.updatedBy)},` +
        `"createdAt":"${toCreated(Number(row.createdSeq) || generationSeq)}","updatedAt":"${toUpdated(seq)}"}`,
    );
  }
  return texts;
}

/** Postgres has its own way with very large and very small numbers. */
function printNumbers(text: string): string[] {
  const numbers = text.split(',');
  return /e|-0(,|$)/.test(text) ? numbers.map((number) => String(Number(number) + 0)) : numbers;
}

/** Postgres prints spaces between, and large numbers digit by digit. */
function printJson(text: string): string {
  return text === '{}' ? text : JSON.stringify(JSON.parse(text));
}

/** An id holds nothing that JSON would escape. */
function printId(id: string | null): string {
  return id === null ? 'null' : `"${id}"`;
}
