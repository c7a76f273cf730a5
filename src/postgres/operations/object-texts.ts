import { sql } from 'drizzle-orm';
import { rememberLast, seqToTime } from '../../world/seq-time.ts';
import type { Seq } from '../../world/types.ts';
import type { Database } from '../client.ts';
import { PAGE_BYTES_MAX } from './load-object.ts';

/** An object on its way to be shown as JSON: what Postgres can print is printed there, and read by nobody on the way. */
export interface TextRow {
  /** Null of the row that says that nothing is left behind the page. */
  id: string | null;
  /** Members as JSON: name, modelId, parentId. */
  names: string;
  /** position, rotation, scale. */
  numbers: string;
  properties: string;
  seq: string | number;
  createdSeq: string | number;
  createdBy: string | null;
  updatedBy: string | null;
}

const member = (name: string, id: string) => sql.raw(`'${name}', coalesce('"' || ${id} || '"', 'null')`);

/** The first page of a space's objects, as `selectObjectsPage` has it. */
export function selectObjectTexts(db: Database, spaceId: string, rowsMax: number) {
  return db
    .select({
      id: sql<string | null>`object_id`,
      names: sql<string>`concat('"name":', coalesce(to_json(name)::text, 'null'), ${member(',"modelId":', 'model_id')}, ${member(',"parentId":', 'parent_id')})`,
      numbers: sql<string>`concat(
        '"position":{"x":', position_x, ',"y":', position_y, ',"z":', position_z,
        '},"rotation":{"x":', rotation_x, ',"y":', rotation_y, ',"z":', rotation_z, ',"w":', rotation_w,
        '},"scale":{"x":', scale_x, ',"y":', scale_y, ',"z":', scale_z, '}')`,
      properties: sql<string>`properties::text`,
      seq: sql<string>`seq`,
      createdSeq: sql<string>`created_seq`,
      createdBy: sql<string | null>`created_by`,
      updatedBy: sql<string | null>`updated_by`,
    })
    .from(
      sql`objects_page(${spaceId}, -1::bigint, '', ${rowsMax}::integer, ${PAGE_BYTES_MAX}::bigint) as world_objects`,
    );
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
  // Those of one save share both times.
  const [toCreated, toUpdated] = [rememberLast(seqToTime), rememberLast(seqToTime)];
  const texts = new Map<string, string>();
  for (const { id, names, numbers, properties, createdBy, updatedBy, ...row } of rows) {
    if (id === null) continue;
    const seq = Number(row.seq) || generationSeq;
    const createdAt = toCreated(Number(row.createdSeq) || generationSeq);
    texts.set(
      id,
      `{"id":"${id}","spaceId":"${spaceId}",${names},${printNumbers(numbers)},"properties":${printJson(properties)},"seq":${seq},"createdBy":${printId(createdBy)},"updatedBy":${printId(updatedBy)},"createdAt":"${createdAt}","updatedAt":"${toUpdated(seq)}"}`,
    );
  }
  return texts;
}

/** Postgres has its own way with very large and very small numbers. */
function printNumbers(members: string): string {
  return /\de|-0[,}]/.test(members) ? printJson(`{${members}}`).slice(1, -1) : members;
}

/** Postgres prints spaces between, and large numbers digit by digit. */
function printJson(text: string): string {
  return text === '{}' ? text : JSON.stringify(JSON.parse(text));
}

/** An id holds nothing that JSON would escape. */
function printId(id: string | null): string {
  return id === null ? 'null' : `"${id}"`;
}
