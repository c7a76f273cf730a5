import type { StagedWorld } from '../../log/log-stores.ts';
import type { WriteTarget } from '../../persistence-layer.ts';
import type { WorldInput } from '../../world/types.ts';
import type { Postgres } from '../client.ts';
import { countTravelBytes, encodeAside, encodeObject, openStage, readQueued } from './stage.ts';

/** Bytes of one list of objects as it travels: the database takes 10 MiB a request. 10,000 plain objects fit in one. */
const CHUNK_BYTES_MAX = 6_000_000;
/** Bytes of a request that stages its one chunk and finishes with all that stands beside the objects. */
const REQUEST_BYTES_MAX = 9_000_000;

/**
 * Stages a whole world for the step of the space's order that will make it the space's. A world of one chunk is one
 * transaction. A larger one is staged chunk by chunk under a generation that nothing names: whatever breaks before the end,
 * what was staged is swept away later.
 */
export async function stageWorld(
  postgres: Postgres,
  target: WriteTarget,
  world: WorldInput,
): Promise<StagedWorld | 'unknown_space'> {
  const { tenantId } = target;
  const { stageId, begin, stage, queue } = openStage(target);
  const aside = encodeAside(world);
  const chunks = encodeChunks(world);
  const first = chunks.next();
  const second = chunks.next();
  const only = first.value ?? '[]';
  if (second.done && countTravelBytes(only) + aside.bytes <= REQUEST_BYTES_MAX) {
    const [[begun], , rows] = await postgres.inTenant(tenantId, (db) => [
      begin(db),
      stage(db, only),
      queue(db, aside),
    ]);
    return begun?.done === true ? readQueued(rows, stageId) : 'unknown_space';
  }
  const [[begun]] = await postgres.inTenant(tenantId, (db) => [begin(db)]);
  if (begun?.done !== true) return 'unknown_space';
  for (const chunk of [only, ...(second.done ? [] : [second.value]), ...chunks])
    await postgres.inTenant(tenantId, (db) => [stage(db, chunk)]);
  const [rows] = await postgres.inTenant(tenantId, (db) => [queue(db, aside)]);
  return readQueued(rows, stageId);
}

function* encodeChunks(world: WorldInput): Generator<string, undefined> {
  let records: string[] = [];
  let chunkBytes = 0;
  for (const object of world.objects) {
    const record = encodeObject(object);
    const bytes = countTravelBytes(record) + 1;
    if (records.length > 0 && chunkBytes + bytes > CHUNK_BYTES_MAX) {
      yield `[${records.join(',')}]`;
      records = [];
      chunkBytes = 0;
    }
    records.push(record);
    chunkBytes += bytes;
  }
  if (records.length > 0) yield `[${records.join(',')}]`;
}
