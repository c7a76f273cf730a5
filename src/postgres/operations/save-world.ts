import { sql } from 'drizzle-orm';
import { uuidv7 } from 'uuidv7';
import type { Refusal, Saved, WriteTarget } from '../../persistence-layer.ts';
import { AppError } from '../../world/errors.ts';
import { LIMITS } from '../../world/limits.ts';
import type { Asset, SaveMode, WorldInput } from '../../world/types.ts';
import type { Database, Postgres } from '../client.ts';
import { asJson, toRecord } from '../rows.ts';

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
  const { tenantId, spaceId, actor } = target;
  const stageId = uuidv7();
  const { aside, asideBytes } = encodeAside(world);
  const begin = (db: Database) => callFunction(db, sql`begin_stage(${spaceId}, ${stageId})`);
  const stage = (db: Database, chunk: string) =>
    callFunction(db, sql`stage_objects(${stageId}, ${actor}, ${chunk}::json)`);
  const commit = (db: Database) =>
    db
      .select({
        status: sql<'committed' | 'unknown_space' | 'unknown_stage'>`status`,
        seq: sql<string>`seq`,
        objects: sql<number>`objects`,
      })
      .from(sql`commit_stage(${spaceId}, ${stageId}, ${actor}, ${mode}, ${aside})`);

  const chunks = encodeChunks(world);
  const first = chunks.next();
  const second = chunks.next();
  let rows: Awaited<ReturnType<typeof commit>>;
  const only = first.value ?? '[]';
  if (second.done && countTravelBytes(only) + asideBytes <= REQUEST_BYTES_MAX) {
    [, , rows] = await postgres.inTenant(tenantId, (db) => [begin(db), stage(db, only), commit(db)]);
  } else {
    const [[begun]] = await postgres.inTenant(tenantId, (db) => [begin(db)]);
    if (begun?.done !== true) return 'unknown_space';
    for (const chunk of [only, ...(second.done ? [] : [second.value]), ...chunks])
      await postgres.inTenant(tenantId, (db) => [stage(db, chunk)]);
    [rows] = await postgres.inTenant(tenantId, (db) => [commit(db)]);
  }
  const outcome = rows[0];
  if (outcome?.status === 'unknown_space') return 'unknown_space';
  if (outcome?.status !== 'committed')
    throw new AppError('conflict', 'The world took too long to arrive and was given up; send it again.');
  await sweepGenerations(postgres, tenantId, spaceId);
  return { seq: Number(outcome.seq), objects: outcome.objects };
}

function callFunction(db: Database, call: ReturnType<typeof sql>) {
  return db.select({ done: sql<boolean>`done` }).from(sql`${call} as done`);
}

/** The save has committed: what it left behind is only space, and the next save sweeps it too. */
async function sweepGenerations(postgres: Postgres, tenantId: string, spaceId: string): Promise<void> {
  try {
    await postgres.inTenant(tenantId, (db) => [
      db.select({ removed: sql<string>`removed` }).from(sql`sweep_generations(${spaceId}) as removed`),
    ]);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
  }
}

const encoder = new TextEncoder();

/** Bytes of JSON as a string inside JSON: quotes and backslashes are two there. */
function countTravelBytes(json: string): number {
  let bytes = encoder.encode(json).length;
  for (let i = 0; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (code === 0x22 || code === 0x5c) bytes++;
  }
  return bytes;
}

function* encodeChunks(world: WorldInput): Generator<string, undefined> {
  let records: string[] = [];
  let chunkBytes = 0;
  for (const object of world.objects) {
    const { createdAt, createdBy } = object;
    const record = JSON.stringify({
      ...toRecord(object),
      ...(createdBy !== null && { createdBy }),
      ...(createdAt !== null && { createdSeq: Math.max(1, Date.parse(createdAt) * 1000) }),
    });
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

/** What stands beside the objects, as commit_stage takes it. @throws body_too_large above `stateAsideBytesMax`. */
function encodeAside({ users, models, media, chat }: WorldInput) {
  const people = users?.map(({ id, displayName, avatarUrl, position, rotation, properties }) => ({
    id,
    name: displayName,
    url: avatarUrl,
    px: position.x,
    py: position.y,
    pz: position.z,
    rx: rotation.x,
    ry: rotation.y,
    rz: rotation.z,
    rw: rotation.w,
    props: properties,
  }));
  const toAssetRecord = ({ id, name, url, sha256, bytes, contentType }: Omit<Asset, 'createdAt'>) => ({
    id,
    name,
    url,
    sha256,
    bytes,
    type: contentType,
  });
  const said = chat.map(({ id, userId, text, kind, createdAt }) => ({
    id,
    user: userId,
    text,
    kind,
    at: createdAt,
  }));
  const parts = [people ?? null, models.map(toAssetRecord), media.map(toAssetRecord), said];
  const encoded = JSON.stringify(parts);
  const bytes = encoder.encode(encoded).length;
  if (bytes > LIMITS.stateAsideBytesMax)
    throw new AppError(
      'body_too_large',
      `Users, models, media and chat of one saved world may be ${LIMITS.stateAsideBytesMax} bytes together; these are ${bytes}.`,
    );
  return { aside: sql.join(parts.map(asJson), sql`, `), asideBytes: countTravelBytes(encoded) };
}
