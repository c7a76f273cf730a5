import type { Refusal, Saved, WriteTarget } from '../../persistence-layer.ts';
import type { SaveMode, WorldInput } from '../../world/types.ts';
import type { Postgres } from '../client.ts';
import {
  countTravelBytes,
  encodeAside,
  encodeObject,
  openStage,
  readCommitted,
  sweepGenerations,
} from './stage.ts';

/** Bytes of one list of objects as it travels: the database takes 10 MiB a request. 10,000 plain objects fit in one. */
const CHUNK_BYTES_MAX = 6_000_000;
/** Bytes of a request that stages its one chunk and commits it with all that stands beside the objects. */
const REQUEST_BYTES_MAX = 9_000_000;

/**
 * Saves a whole world, all or nothing. A world of one chunk is one transaction. A larger one is staged chunk by chunk
 * under a generation that nothing names, and one last transaction makes it the world: whatever breaks before, the world
 * stays as it was, and what was staged is swept away later.
 */
export async function saveWorld(
  postgres: Postgres,
  target: WriteTarget,
  world: WorldInput,
  mode: SaveMode,
): Promise<Saved | Refusal> {
  const { tenantId, spaceId } = target;
  const { begin, stage, commit } = openStage(target);
  const { aside, asideBytes } = encodeAside(world);

  const chunks = encodeChunks(world);
  const first = chunks.next();
  const second = chunks.next();
  let rows: Awaited<ReturnType<typeof commit>>;
  const only = first.value ?? '[]';
  if (second.done && countTravelBytes(only) + asideBytes <= REQUEST_BYTES_MAX) {
    [, , rows] = await postgres.inTenant(tenantId, (db) => [
      begin(db),
      stage(db, only),
      commit(db, mode, aside),
    ]);
  } else {
    const [[begun]] = await postgres.inTenant(tenantId, (db) => [begin(db)]);
    if (begun?.done !== true) return 'unknown_space';
    for (const chunk of [only, ...(second.done ? [] : [second.value]), ...chunks])
      await postgres.inTenant(tenantId, (db) => [stage(db, chunk)]);
    [rows] = await postgres.inTenant(tenantId, (db) => [commit(db, mode, aside)]);
  }
  const saved = readCommitted(rows);
  if (typeof saved === 'object') await sweepGenerations(postgres, tenantId, spaceId);
  return saved;
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
