import { and, asc, desc, eq, gt, isNotNull, isNull, lte, type SQL, sql } from 'drizzle-orm';
import type { KeptChat } from '../../world/chat-window.ts';
import { LIMITS } from '../../world/limits.ts';
import type { Space, WorldState } from '../../world/types.ts';
import type { Database, Postgres, Results } from '../client.ts';
import { messageColumns, spaceColumns, toMessage, toSpace, toTime } from '../rows.ts';
import { mediaAssets, uploadedModels } from '../schema/assets.ts';
import { users } from '../schema/people.ts';
import { chatMessages, spaceMembers, spaces } from '../schema/spaces.ts';
import { tenants } from '../schema/tenants.ts';
import { isLive } from './load-space.ts';

/** Bytes of a page of avatars, models or media: with a page of objects and the last messages they share one answer. */
const LIST_BYTES_MAX = 700_000;
/** Bytes of such a page where it has an answer to itself. */
const LONE_LIST_BYTES_MAX = 6 * 1024 * 1024;

/** Everything of a state but its objects, at one moment. */
export interface SpaceMetadata extends Omit<WorldState, 'space' | 'seq' | 'durableSeq' | 'objects' | 'chat'> {
  space: Space;
  chat: KeptChat;
  rev: number;
  /** Which rows are the world's, and since when. */
  world: string;
  generationSeq: number;
  /** The lists with more rows than were read: `completeLists` reads the rest. */
  more: { avatars: boolean; models: boolean; media: boolean };
}

/** How far a space is, and which rows are its world. */
export function selectVersion(db: Database, tenantId: string, spaceId: string) {
  return db
    .select({
      seq: spaces.logCursor,
      world: spaces.world,
      generationSeq: spaces.generationSeq,
      rev: tenants.rev,
    })
    .from(spaces)
    .innerJoin(tenants, eq(tenants.tenantId, spaces.tenantId))
    .where(isLive(tenantId, spaceId));
}

/** How each list goes on behind a page, and which of its rows there are. */
function describeLists(tenantId: string, spaceId: string) {
  return {
    avatars: {
      pageEnd: (after: string, bytes: number) =>
        sql`(select avatars_page_end(${spaceId}, ${after}, ${bytes}::bigint))`,
      id: spaceMembers.userId,
      there: and(
        eq(spaceMembers.tenantId, tenantId),
        eq(spaceMembers.spaceId, spaceId),
        isNotNull(spaceMembers.positionX),
      ),
    },
    models: {
      pageEnd: (after: string, bytes: number) => sql`(select models_page_end(${after}, ${bytes}::bigint))`,
      id: uploadedModels.modelId,
      there: eq(uploadedModels.tenantId, tenantId),
    },
    media: {
      pageEnd: (after: string, bytes: number) => sql`(select media_page_end(${after}, ${bytes}::bigint))`,
      id: mediaAssets.mediaId,
      there: eq(mediaAssets.tenantId, tenantId),
    },
  };
}

type Lists = ReturnType<typeof describeLists>;

function onPage({ pageEnd, id, there }: Lists[keyof Lists], after: string, bytes: number): SQL | undefined {
  return and(there, gt(id, after), lte(id, pageEnd(after, bytes)));
}

function selectAvatars(db: Database, { avatars }: Lists, after: string, bytes: number) {
  return db
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
    .where(onPage(avatars, after, bytes))
    .orderBy(asc(spaceMembers.userId));
}

const assetColumns = <Table extends typeof uploadedModels | typeof mediaAssets>(table: Table) => ({
  name: table.name,
  url: table.url,
  sha256: table.sha256,
  bytes: table.bytes,
  contentType: table.contentType,
  createdAt: table.createdAt,
});

function selectModels(db: Database, { models }: Lists, after: string, bytes: number) {
  return db
    .select({ id: uploadedModels.modelId, ...assetColumns(uploadedModels) })
    .from(uploadedModels)
    .where(onPage(models, after, bytes))
    .orderBy(asc(uploadedModels.modelId));
}

function selectMedia(db: Database, { media }: Lists, after: string, bytes: number) {
  return db
    .select({ id: mediaAssets.mediaId, ...assetColumns(mediaAssets) })
    .from(mediaAssets)
    .where(onPage(media, after, bytes))
    .orderBy(asc(mediaAssets.mediaId));
}

/** Whether each list goes on behind a page of its own that begins at its beginning. */
function selectMore(db: Database, lists: Lists, bytes: number) {
  const goesOn = (table: SQL, { pageEnd, id, there }: Lists[keyof Lists]) =>
    sql<boolean>`exists (select from ${table} where ${and(there, gt(id, pageEnd('', bytes)))})`;
  return db
    .select({
      avatars: goesOn(sql`${spaceMembers}`, lists.avatars),
      models: goesOn(sql`${uploadedModels}`, lists.models),
      media: goesOn(sql`${mediaAssets}`, lists.media),
    })
    .from(sql`(select) as once`);
}

const sentMicros = sql<number>`(extract(epoch from ${chatMessages.createdAt}) * 1000000)::bigint`.mapWith(
  Number,
);

/** Everything of a state but its objects: of each list the first page, and whether there is more of it. */
export function selectMetadata(db: Database, tenantId: string, spaceId: string) {
  const lists = describeLists(tenantId, spaceId);
  return [
    db.select({ space: spaceColumns }).from(spaces).where(isLive(tenantId, spaceId)),
    selectVersion(db, tenantId, spaceId),
    selectMore(db, lists, LIST_BYTES_MAX),
    selectAvatars(db, lists, '', LIST_BYTES_MAX),
    selectModels(db, lists, '', LIST_BYTES_MAX),
    selectMedia(db, lists, '', LIST_BYTES_MAX),
    db
      .select({ ...messageColumns, sentMicros })
      .from(chatMessages)
      .where(
        and(
          eq(chatMessages.tenantId, tenantId),
          eq(chatMessages.spaceId, spaceId),
          isNull(chatMessages.deletedAt),
        ),
      )
      .orderBy(desc(chatMessages.createdAt), desc(chatMessages.messageId))
      .limit(LIMITS.chatKeptMax + 1),
  ] as const;
}

/** The number of results of `selectMetadata`. Results of other queries come after them. */
export const AROUND_RESULTS = 7;

type MetadataRows = Results<ReturnType<typeof selectMetadata>>;
type Version = Awaited<ReturnType<typeof selectVersion>>[0];
type AvatarRow = Awaited<ReturnType<typeof selectAvatars>>[0];

/** @param results the results of `selectMetadata`, and others after them. @returns null if the space does not exist. */
export function toMetadata(results: readonly [...MetadataRows, ...unknown[]]): SpaceMetadata | null {
  const [[found], [version], [more], avatars, models, media, chat] = results;
  if (found === undefined || version === undefined || more === undefined) return null;
  const { rev, world, generationSeq } = version;
  return {
    space: toSpace(found.space),
    rev,
    world,
    generationSeq,
    more,
    users: avatars.map(toAvatar),
    models: models.map(toAsset),
    media: media.map(toAsset),
    chat: {
      messages: chat.slice(0, LIMITS.chatKeptMax).reverse().map(toMessage),
      hasOlder: chat.length > LIMITS.chatKeptMax,
    },
  };
}

function toAvatar({ x, y, z, rx, ry, rz, rw, ...avatar }: AvatarRow): SpaceMetadata['users'][0] {
  const { id, displayName, avatarUrl, properties, seq } = avatar;
  const [position, rotation] = [
    { x, y, z },
    { x: rx, y: ry, z: rz, w: rw },
  ];
  return { id, displayName, avatarUrl, position, rotation, properties, seq };
}

function toAsset<Row extends { createdAt: string }>(row: Row): Row {
  return { ...row, createdAt: toTime(row.createdAt) };
}

/**
 * Reads what the first pages of the lists left, so that a state can be read however long they are.
 * @returns false if something changed meanwhile, and everything must be read again.
 */
export async function completeLists(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
  metadata: SpaceMetadata,
): Promise<boolean> {
  const lists = describeLists(tenantId, spaceId);
  const complete = async <Row extends { id: string }, Item extends { id: string }>(
    items: Item[],
    select: (db: Database, after: string) => PromiseLike<Row[]>,
    toItem: (row: Row) => Item,
    isSettled: (now: Version) => boolean,
  ): Promise<boolean> => {
    for (;;) {
      const after = items.at(-1)?.id ?? '';
      const [[now], page] = await postgres.inTenant(
        tenantId,
        (db) => [selectVersion(db, tenantId, spaceId), select(db, after)],
        'snapshot',
      );
      if (now === undefined || !isSettled(now)) return false;
      if (page.length === 0) return true;
      for (const row of page) items.push(toItem(row));
    }
  };
  const { more, rev, space } = metadata;
  const sameRev = (now: Version) => now.rev === rev;
  const bytes = LONE_LIST_BYTES_MAX;
  return (
    (!more.models ||
      (await complete(
        metadata.models,
        (db, after) => selectModels(db, lists, after, bytes),
        toAsset,
        sameRev,
      ))) &&
    (!more.media ||
      (await complete(
        metadata.media,
        (db, after) => selectMedia(db, lists, after, bytes),
        toAsset,
        sameRev,
      ))) &&
    // Avatars have their place in the space's order.
    (!more.avatars ||
      (await complete(
        metadata.users,
        (db, after) => selectAvatars(db, lists, after, bytes),
        toAvatar,
        (now) => now.seq === space.seq && now.rev === rev,
      )))
  );
}
