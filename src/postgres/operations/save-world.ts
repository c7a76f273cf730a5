import type { Refusal, Saved, WriteTarget } from '../../persistence-layer.ts';
import type { SaveMode, WorldInput } from '../../world/types.ts';
import type { Postgres } from '../client.ts';
import { encodeAside, encodeObject, openStage, readCommitted, sweepGenerations } from './stage.ts';

/**
 * Bytes of one list of objects on its way: the database takes 10 MiB a request, and quotes and backslashes, were a list
 * made of nothing else, travel as two. 10,000 plain objects fit in one.
 */
const CHUNK_BYTES_MAX = 4_500_000;

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
  const aside = encodeAside(world);

  const chunks = encodeChunks(world);
  const first = chunks.next();
  const second = chunks.next();
  let rows: Awaited<ReturnType<typeof commit>>;
  if (second.done) {
    const only = first.value ?? '[]';
    [, , rows] = await postgres.inTenant(tenantId, (db) => [
      begin(db),
      stage(db, only),
      commit(db, mode, aside),
    ]);
  } else {
    const [[begun]] = await postgres.inTenant(tenantId, (db) => [begin(db)]);
    if (begun?.done !== true) return 'unknown_space';
    for (const chunk of [first.value as string, second.value, ...chunks])
      await postgres.inTenant(tenantId, (db) => [stage(db, chunk)]);
    [rows] = await postgres.inTenant(tenantId, (db) => [commit(db, mode, aside)]);
  }
  const saved = readCommitted(rows);
  if (typeof saved === 'object') await sweepGenerations(postgres, tenantId, spaceId);
  return saved;
}

const encoder = new TextEncoder();

function* encodeChunks(world: WorldInput): Generator<string, undefined> {
  let records: string[] = [];
  let chunkBytes = 0;
  for (const object of world.objects) {
    const record = encodeObject(object);
    const bytes = encoder.encode(record).length + 1;
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
