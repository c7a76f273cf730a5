import { and, asc, count, eq, gt } from 'drizzle-orm';
import { AppError } from '../../world/errors.ts';
import type { WorldState } from '../../world/types.ts';
import type { Postgres } from '../client.ts';
import { isAnswerTooLarge } from '../errors.ts';
import { type ObjectRow, objectColumns, toTime, toWorldObject } from '../rows.ts';
import { spaces, worldObjects } from '../schema/spaces.ts';
import { completeLists, type Head, selectAround, selectVersion, toHead } from './load-around.ts';
import { isInWorld, selectObjectsPage } from './load-object.ts';
import { isLive } from './load-space.ts';

/** Rows of one page of objects; its bytes are bounded too, see selectObjectsPage. */
const PAGE_ROWS_MAX = 16_000;
/** How often a world that is replaced while it is read, or moves where no page can follow, is begun anew. */
const ATTEMPTS_MAX = 3;

export type LoadedWorld = WorldState & { rev: number };

/**
 * The whole world as it stood at one moment. A world of one page is one transaction. A larger one is read page by page;
 * if it moved meanwhile, one last transaction reads what changed and which objects are there, which makes it the world of
 * that last moment. @throws state_unsettled where it never holds still long enough.
 */
export async function loadWorld(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
): Promise<LoadedWorld | null> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const world = await tryToLoad(postgres, tenantId, spaceId);
    if (world !== 'moved') return world;
  }
  throw new AppError('state_unsettled', 'The world is changing faster than it can be read.', {
    retryAfterSeconds: 1,
  });
}

async function tryToLoad(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
): Promise<LoadedWorld | null | 'moved'> {
  const [head, [total], page] = await readHead(postgres, tenantId, spaceId);
  const version = head?.version;
  if (head === null || version === undefined) return null;
  if (!(await completeLists(postgres, tenantId, spaceId, head))) return 'moved';
  const rows: ObjectRow[] = page;
  if (rows.length >= (total?.n ?? 0)) return toState(head, rows);

  let settled = true;
  for (;;) {
    const after = rows.at(-1)?.objectId ?? '';
    const [[now], next] = await postgres.inTenant(
      tenantId,
      (db) => [
        selectVersion(db, tenantId, spaceId),
        selectObjectsPage(db, tenantId, spaceId, after, PAGE_ROWS_MAX),
      ],
      'snapshot',
    );
    if (now === undefined) return null;
    if (now.generation !== version.generation) return 'moved';
    settled &&= now.seq === version.seq;
    if (next.length === 0) break;
    for (const row of next) rows.push(row);
  }
  return settled ? toState(head, rows) : catchUp(postgres, tenantId, spaceId, version, rows);
}

/** Brings pages that were read at different moments to one: the changed rows anew, and none that is gone. */
async function catchUp(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
  version: { seq: number; generation: number },
  rows: ObjectRow[],
): Promise<LoadedWorld | null | 'moved'> {
  const inGeneration = and(
    eq(worldObjects.tenantId, tenantId),
    eq(worldObjects.spaceId, spaceId),
    eq(worldObjects.generation, version.generation),
  );
  const results = await readOrTooLarge(
    postgres.inTenant(
      tenantId,
      (db) => [
        ...selectAround(db, tenantId, spaceId),
        db
          .select({ id: worldObjects.objectId })
          .from(worldObjects)
          .where(inGeneration)
          .orderBy(asc(worldObjects.objectId)),
        db
          .select(objectColumns)
          .from(worldObjects)
          .where(and(inGeneration, gt(worldObjects.seq, version.seq))),
      ],
      'snapshot',
    ),
  );
  // Too much has changed, or there are too many objects, to say so in one answer: only a quiet moment helps.
  if (results === 'too large') return 'moved';
  const head = toHead(results);
  if (head === null) return null;
  if (head.version.generation !== version.generation) return 'moved';
  if (!(await completeLists(postgres, tenantId, spaceId, head))) return 'moved';
  const [ids, changed] = [results[7], results[8]];
  const byId = new Map(rows.map((row) => [row.objectId, row]));
  for (const row of changed) byId.set(row.objectId, row);
  const present = ids.map(({ id }) => byId.get(id)).filter((row) => row !== undefined);
  // Every object that is there was read by a page or has changed since: anything else is a fault in the order.
  if (present.length !== ids.length) return 'moved';
  return toState(head, present);
}

/** @returns what the query gives, or that it is more than one answer of the database can hold. */
async function readOrTooLarge<T>(reading: Promise<T>): Promise<T | 'too large'> {
  try {
    return await reading;
  } catch (error) {
    if (isAnswerTooLarge(error)) return 'too large';
    throw error;
  }
}

async function readHead(postgres: Postgres, tenantId: string, spaceId: string) {
  const results = await postgres.inTenant(
    tenantId,
    (db) => [
      ...selectAround(db, tenantId, spaceId),
      db
        .select({ n: count() })
        .from(worldObjects)
        .innerJoin(spaces, isInWorld())
        .where(isLive(tenantId, spaceId)),
      selectObjectsPage(db, tenantId, spaceId, '', PAGE_ROWS_MAX),
    ],
    'snapshot',
  );
  return [toHead(results), results[7], results[8]] as const;
}

function toState({ space, version, avatars, models, media, chat }: Head, rows: ObjectRow[]): LoadedWorld {
  return {
    space,
    seq: space.seq,
    durableSeq: space.seq,
    objects: rows.map((row) => toWorldObject(row, space.id, version.generationSeq)),
    users: avatars.map(({ x, y, z, rx, ry, rz, rw, ...avatar }) => ({
      id: avatar.id,
      displayName: avatar.displayName,
      avatarUrl: avatar.avatarUrl,
      position: { x, y, z },
      rotation: { x: rx, y: ry, z: rz, w: rw },
      properties: avatar.properties,
      seq: avatar.seq,
    })),
    models: models.map((model) => ({ ...model, createdAt: toTime(model.createdAt) })),
    media: media.map((item) => ({ ...item, createdAt: toTime(item.createdAt) })),
    chat: chat.reverse().map((message) => ({ ...message, createdAt: toTime(message.createdAt) })),
    rev: version.rev,
  };
}
