import { type SQL, sql } from 'drizzle-orm';
import { uuidv7 } from 'uuidv7';
import type { StagedWorld } from '../../log/log-stores.ts';
import type { WriteTarget } from '../../log/world-log.ts';
import { AppError } from '../../world/errors.ts';
import { LIMITS } from '../../world/limits.ts';
import type { Asset, WorldInput } from '../../world/types.ts';
import { toTexts } from '../array-literal.ts';
import type { AuthorList } from '../author-list.ts';
import type { Database, Postgres } from '../client.ts';
import { asJson, toRecord } from '../rows.ts';

/** The queries by which one world is staged and made its space's; each list of objects is a JSON text. */
export function openStage({ spaceId, isSession = false }: WriteTarget) {
  const stageId = uuidv7();
  return {
    stageId,
    begin: (db: Database) => callFunction(db, sql`begin_stage(${spaceId}, ${stageId})`),
    /** @param authors of the objects in the chunk */
    stage: (db: Database, chunk: string, authors: AuthorList) =>
      callFunction(
        db,
        sql`stage_objects(${stageId}, ${toTexts(authors.ids)}::text[], ${isSession}::boolean, ${chunk}::json)`,
      ),
    unstage: (db: Database, ids: readonly string[]) =>
      callFunction(db, sql`unstage_objects(${stageId}, ${asJson(ids)})`),
    queue: (db: Database, aside: Aside) =>
      db
        .select({ objects: sql<number | null>`objects` })
        .from(sql`queue_stage(${stageId}, ${aside.json}) as objects`),
  };
}

export type StageQueries = ReturnType<typeof openStage>;
/** @throws conflict where the stage is not there any more. */
export function readQueued(
  [outcome]: Awaited<ReturnType<StageQueries['queue']>>,
  stageId: string,
): StagedWorld {
  if (outcome === undefined || outcome.objects === null) throw givenUp();
  return { stageId, objects: outcome.objects };
}

export function givenUp(): AppError {
  return new AppError('conflict', 'The world took too long to arrive and was given up; send it again.');
}

function callFunction(db: Database, call: ReturnType<typeof sql>) {
  return db.select({ done: sql<boolean>`done` }).from(sql`${call} as done`);
}

/** A failed sweep fails nothing: it leaves rows that the next save removes. */
export async function sweepWorlds(postgres: Postgres, tenantId: string, spaceId: string): Promise<void> {
  try {
    await postgres.inTenant(tenantId, (db) => [
      db.select({ removed: sql<string>`removed` }).from(sql`sweep_worlds(${spaceId}) as removed`),
    ]);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
  }
}

const encoder = new TextEncoder();

/** Bytes of JSON as a string inside JSON: quotes and backslashes are two there. */
export function countTravelBytes(json: string): number {
  let bytes = encoder.encode(json).length;
  for (let i = 0; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (code === 0x22 || code === 0x5c) bytes++;
  }
  return bytes;
}

/** An object as `stage` takes it, its author being one of `authors`. */
export function encodeObject(object: WorldInput['objects'][number], authors: AuthorList): string {
  const { createdAt, createdBy } = object;
  return JSON.stringify({
    ...toRecord(object),
    ...(createdBy !== null && { creator: authors.place(createdBy) }),
    ...(createdAt !== null && { createdSeq: Math.max(1, Date.parse(createdAt) * 1000) }),
  });
}

/** The parts of a world without its objects. */
export interface Aside {
  /** As queue_stage takes it. */
  json: SQL;
  /** As it travels. */
  bytes: number;
}

/** @throws body_too_large above `stateAsideBytesMax`. */
export function encodeAside({ users, models, media, chat }: Omit<WorldInput, 'objects'>): Aside {
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
  const encoded = JSON.stringify({
    users: people ?? null,
    models: models.map(toAssetRecord),
    media: media.map(toAssetRecord),
    chat: said,
  });
  const bytes = encoder.encode(encoded).length;
  if (bytes > LIMITS.stateAsideBytesMax)
    throw new AppError(
      'body_too_large',
      `Users, models, media and chat of one saved world may be ${LIMITS.stateAsideBytesMax} bytes together; these are ${bytes}.`,
    );
  return { json: sql`${encoded}::json`, bytes: countTravelBytes(encoded) };
}
