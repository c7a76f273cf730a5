import { and, asc, count, desc, eq, gt, isNotNull, isNull, sql } from 'drizzle-orm';
import { AppError } from '../../world/errors.ts';
import { LIMITS } from '../../world/limits.ts';
import type { WorldState } from '../../world/types.ts';
import type { Database, Postgres, Results } from '../client.ts';
import { type ObjectRow, objectColumns, spaceColumns, toSpace, toTime, toWorldObject } from '../rows.ts';
import { mediaAssets, uploadedModels } from '../schema/assets.ts';
import { users } from '../schema/people.ts';
import { chatMessages, spaceMembers, spaces, worldObjects } from '../schema/spaces.ts';
import { tenants } from '../schema/tenants.ts';
import { isInWorld, selectObjectsPage } from './load-object.ts';
import { isLive } from './load-space.ts';

/** Rows of one page of objects; its bytes are bounded too, see selectObjectsPage. */
const PAGE_ROWS_MAX = 16_000;
/** How often a world that is replaced while it is read is begun anew. */
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
    if (world !== 'replaced') return world;
  }
  throw new AppError('state_unsettled', 'The world is being replaced faster than it can be read.', {
    retryAfterSeconds: 1,
  });
}

async function tryToLoad(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
): Promise<LoadedWorld | null | 'replaced'> {
  const [head, [total], page] = await readHead(postgres, tenantId, spaceId);
  const version = head?.version;
  if (head === null || version === undefined) return null;
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
    if (now.generation !== version.generation) return 'replaced';
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
): Promise<LoadedWorld | null | 'replaced'> {
  const inGeneration = and(
    eq(worldObjects.tenantId, tenantId),
    eq(worldObjects.spaceId, spaceId),
    eq(worldObjects.generation, version.generation),
  );
  const results = await postgres.inTenant(
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
  );
  const head = toHead(results);
  if (head === null) return null;
  if (head.version.generation !== version.generation) return 'replaced';
  const [ids, changed] = [results[6], results[7]];
  const byId = new Map(rows.map((row) => [row.objectId, row]));
  for (const row of changed) byId.set(row.objectId, row);
  const present = ids.map(({ id }) => byId.get(id)).filter((row) => row !== undefined);
  // Every object that is there was read by a page or has changed since: anything else is a fault in the order.
  if (present.length !== ids.length) return 'replaced';
  return toState(head, present);
}

function selectVersion(db: Database, tenantId: string, spaceId: string) {
  return db
    .select({ seq: spaces.logCursor, generation: spaces.generation, generationSeq: spaces.generationSeq })
    .from(spaces)
    .where(isLive(tenantId, spaceId));
}

/** Everything of a state but its objects. */
function selectAround(db: Database, tenantId: string, spaceId: string) {
  return [
    db
      .select({ space: spaceColumns, rev: tenants.rev })
      .from(spaces)
      .innerJoin(tenants, eq(tenants.tenantId, spaces.tenantId))
      .where(isLive(tenantId, spaceId)),
    selectVersion(db, tenantId, spaceId),
    db
      .select({
        id: spaceMembers.userId,
        displayName: users.displayName,
        avatarUrl: users.avatarUrl,
        x: sql<number>`${spaceMembers.positionX}`,
        y: sql<number>`${spaceMembers.positionY}`,
        z: sql<number>`${spaceMembers.positionZ}`,
        rx: sql<number>`${spaceMembers.rotationX}`,
        ry: sql<number>`${spaceMembers.rotationY}`,
        rz: sql<number>`${spaceMembers.rotationZ}`,
        rw: sql<number>`${spaceMembers.rotationW}`,
        properties: spaceMembers.properties,
        seq: spaceMembers.seq,
      })
      .from(spaceMembers)
      .innerJoin(users, and(eq(users.tenantId, spaceMembers.tenantId), eq(users.userId, spaceMembers.userId)))
      .where(
        and(
          eq(spaceMembers.tenantId, tenantId),
          eq(spaceMembers.spaceId, spaceId),
          isNotNull(spaceMembers.positionX),
        ),
      )
      .orderBy(asc(spaceMembers.userId)),
    db
      .select()
      .from(uploadedModels)
      .where(eq(uploadedModels.tenantId, tenantId))
      .orderBy(asc(uploadedModels.modelId)),
    db.select().from(mediaAssets).where(eq(mediaAssets.tenantId, tenantId)).orderBy(asc(mediaAssets.mediaId)),
    db
      .select({
        id: chatMessages.messageId,
        userId: chatMessages.userId,
        text: chatMessages.text,
        kind: chatMessages.kind,
        seq: chatMessages.seq,
        createdAt: chatMessages.createdAt,
      })
      .from(chatMessages)
      .where(
        and(
          eq(chatMessages.tenantId, tenantId),
          eq(chatMessages.spaceId, spaceId),
          isNull(chatMessages.deletedAt),
        ),
      )
      .orderBy(desc(chatMessages.createdAt), desc(chatMessages.messageId))
      .limit(LIMITS.stateChatMessagesMax),
  ] as const;
}

type Around = Results<ReturnType<typeof selectAround>>;

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
  return [toHead(results), results[6], results[7]] as const;
}

function toHead(results: readonly [...Around, ...unknown[]]) {
  const [[found], [version], avatars, models, media, chat] = results;
  if (found === undefined || version === undefined) return null;
  return { space: toSpace(found.space), rev: found.rev, version, avatars, models, media, chat };
}

type Head = NonNullable<ReturnType<typeof toHead>>;

function toState(
  { space, rev, version, avatars, models, media, chat }: Head,
  rows: ObjectRow[],
): LoadedWorld {
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
    models: models.map(({ tenantId, modelId, ...model }) => ({
      id: modelId,
      ...model,
      createdAt: toTime(model.createdAt),
    })),
    media: media.map(({ tenantId, mediaId, ...item }) => ({
      id: mediaId,
      ...item,
      createdAt: toTime(item.createdAt),
    })),
    chat: chat.reverse().map((message) => ({ ...message, createdAt: toTime(message.createdAt) })),
    rev,
  };
}
