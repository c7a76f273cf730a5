import { and, asc, desc, eq, gt, isNotNull, isNull, lte, type SQL, sql } from 'drizzle-orm';
import type { AssetIds } from '../../world/asset-references.ts';
import type { KeptChat } from '../../world/chat-window.ts';
import { LIMITS } from '../../world/limits.ts';
import type { Space, WorldState } from '../../world/types.ts';
import type { Database, Postgres, Results } from '../client.ts';
import { messageColumns, spaceColumns, toMessage, toSpace } from '../rows.ts';
import { users } from '../schema/people.ts';
import { chatMessages, spaceMembers, spaces } from '../schema/spaces.ts';
import { tenants } from '../schema/tenants.ts';
import { selectSavedAssets } from './load-assets.ts';
import { isLive } from './load-space.ts';

/** Bytes of a page of avatars: it shares one answer with a page of objects and the last messages. */
const LIST_BYTES_MAX = 700_000;
/** Bytes of such a page where it has an answer to itself. */
const LONE_LIST_BYTES_MAX = 6 * 1024 * 1024;

/** Everything of a state but its objects, at one moment. */
export interface SpaceMetadata extends Pick<WorldState, 'users'> {
  space: Space;
  /** The models and media that were saved with the world. */
  saved: AssetIds;
  chat: KeptChat;
  rev: number;
  /** Which rows are the world's, and since when. */
  world: string;
  generationSeq: number;
  /** Whether there are more avatars than were read: `completeAvatars` reads the rest. */
  more: { avatars: boolean };
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

/** The avatars behind an id, as many as fit into so many bytes. */
function onPage(tenantId: string, spaceId: string, after: string, bytes: number): SQL | undefined {
  return and(
    isAvatar(tenantId, spaceId),
    gt(spaceMembers.userId, after),
    lte(spaceMembers.userId, pageEnd(spaceId, after, bytes)),
  );
}

function isAvatar(tenantId: string, spaceId: string): SQL | undefined {
  return and(
    eq(spaceMembers.tenantId, tenantId),
    eq(spaceMembers.spaceId, spaceId),
    isNotNull(spaceMembers.positionX),
  );
}

function pageEnd(spaceId: string, after: string, bytes: number): SQL {
  return sql`(select avatars_page_end(${spaceId}, ${after}, ${bytes}::bigint))`;
}

function selectAvatars(db: Database, tenantId: string, spaceId: string, after: string, bytes: number) {
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
    .where(onPage(tenantId, spaceId, after, bytes))
    .orderBy(asc(spaceMembers.userId));
}

/** Whether there are avatars behind the first page. */
function selectMore(db: Database, tenantId: string, spaceId: string) {
  const isBehind = gt(spaceMembers.userId, pageEnd(spaceId, '', LIST_BYTES_MAX));
  return db
    .select({
      avatars: sql<boolean>`exists (select from ${spaceMembers} where ${and(isAvatar(tenantId, spaceId), isBehind)})`,
    })
    .from(sql`(select) as once`);
}

const sentMicros = sql<number>`(extract(epoch from ${chatMessages.createdAt}) * 1000000)::bigint`.mapWith(
  Number,
);

/** Everything of a state but its objects: of each list the first page, and whether there is more of it. */
export function selectMetadata(db: Database, tenantId: string, spaceId: string) {
  return [
    db.select({ space: spaceColumns }).from(spaces).where(isLive(tenantId, spaceId)),
    selectVersion(db, tenantId, spaceId),
    selectMore(db, tenantId, spaceId),
    selectAvatars(db, tenantId, spaceId, '', LIST_BYTES_MAX),
    selectSavedAssets(db, tenantId, spaceId),
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
export const AROUND_RESULTS = 6;

type MetadataRows = Results<ReturnType<typeof selectMetadata>>;
type AvatarRow = Awaited<ReturnType<typeof selectAvatars>>[0];

/** @param results the results of `selectMetadata`, and others after them. @returns null if the space does not exist. */
export function toMetadata(results: readonly [...MetadataRows, ...unknown[]]): SpaceMetadata | null {
  const [[found], [version], [more], avatars, saved, chat] = results;
  if (found === undefined || version === undefined || more === undefined) return null;
  const { rev, world, generationSeq } = version;
  return {
    space: toSpace(found.space),
    rev,
    world,
    generationSeq,
    more,
    users: avatars.map(toAvatar),
    saved: {
      models: new Set(saved.flatMap(({ kind, id }) => (kind === 'model' ? [id] : []))),
      media: new Set(saved.flatMap(({ kind, id }) => (kind === 'media' ? [id] : []))),
    },
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

/**
 * Reads the avatars behind the first page, so that a state can be read however many it has.
 * @returns false if something changed meanwhile, and everything must be read again.
 */
export async function completeAvatars(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
  { more, users, space, rev }: SpaceMetadata,
): Promise<boolean> {
  for (let isComplete = !more.avatars; !isComplete; ) {
    const after = users.at(-1)?.id ?? '';
    const [[now], page] = await postgres.inTenant(
      tenantId,
      (db) => [
        selectVersion(db, tenantId, spaceId),
        selectAvatars(db, tenantId, spaceId, after, LONE_LIST_BYTES_MAX),
      ],
      'snapshot',
    );
    if (now === undefined || now.seq !== space.seq || now.rev !== rev) return false;
    users.push(...page.map(toAvatar));
    isComplete = page.length === 0;
  }
  return true;
}
