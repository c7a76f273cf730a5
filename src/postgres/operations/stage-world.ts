import type { StagedWorld } from '../../log/log-stores.ts';
import type { WriteTarget } from '../../log/world-log.ts';
import type { WorldInput } from '../../world/types.ts';
import { AuthorList } from '../author-list.ts';
import type { Postgres } from '../client.ts';
import { countTravelBytes, encodeAside, encodeObject, openStage, readQueued } from './stage.ts';

/** Bytes of one list of objects as it travels: the database takes 10 MiB a request. 10,000 plain objects fit in one. */
const CHUNK_BYTES_MAX = 6_000_000;
/** Bytes of a request that stages its one chunk and finishes with all other parts of the world. */
const REQUEST_BYTES_MAX = 9_000_000;

/**
 * Stages a whole world for the step of the space's order that will make it the space's. A world of one chunk is one
 * transaction. A larger one is staged chunk by chunk under a world number that nothing names. If the save breaks off, a later sweep
 * removes the staged rows.
 */
export async function stageWorld(
  postgres: Postgres,
  target: WriteTarget,
  world: WorldInput,
): Promise<StagedWorld | 'unknown_space'> {
  const { tenantId } = target;
  const { stageId, begin, stage, queue } = openStage(target);
  const aside = encodeAside(world);
  const chunks = encodeChunks(world, target.actor);
  const first = chunks.next();
  const second = chunks.next();
  const only = first.value ?? { json: '[]', authors: new AuthorList(target.actor) };
  if (second.done && countTravelBytes(only.json) + aside.bytes <= REQUEST_BYTES_MAX) {
    const [[begun], , rows] = await postgres.inTenant(tenantId, (db) => [
      begin(db),
      stage(db, only.json, only.authors),
      queue(db, aside),
    ]);
    return begun?.done === true ? readQueued(rows, stageId) : 'unknown_space';
  }
  const [[begun]] = await postgres.inTenant(tenantId, (db) => [begin(db)]);
  if (begun?.done !== true) return 'unknown_space';
  for (const { json, authors } of [only, ...(second.done ? [] : [second.value]), ...chunks])
    await postgres.inTenant(tenantId, (db) => [stage(db, json, authors)]);
  const [rows] = await postgres.inTenant(tenantId, (db) => [queue(db, aside)]);
  return readQueued(rows, stageId);
}

interface Chunk {
  json: string;
  authors: AuthorList;
}

function* encodeChunks(world: WorldInput, actor: string | null): Generator<Chunk, undefined> {
  let authors = new AuthorList(actor);
  let records: string[] = [];
  let chunkBytes = 0;
  for (const object of world.objects) {
    let record = encodeObject(object, authors);
    const bytes = countTravelBytes(record) + 1;
    if (records.length > 0 && chunkBytes + bytes > CHUNK_BYTES_MAX) {
      yield { json: `[${records.join(',')}]`, authors };
      records = [];
      chunkBytes = 0;
      authors = new AuthorList(actor);
      record = encodeObject(object, authors);
    }
    records.push(record);
    chunkBytes += bytes;
  }
  if (records.length > 0) yield { json: `[${records.join(',')}]`, authors };
}
