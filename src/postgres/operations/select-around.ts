import { and, asc, desc, eq, isNotNull, isNull, sql } from 'drizzle-orm';
import { LIMITS } from '../../world/limits.ts';
import type { Space, WorldState } from '../../world/types.ts';
import type { Database, Results } from '../client.ts';
import { spaceColumns, toSpace, toTime } from '../rows.ts';
import { mediaAssets, uploadedModels } from '../schema/assets.ts';
import { users } from '../schema/people.ts';
import { chatMessages, spaceMembers, spaces } from '../schema/spaces.ts';
import { tenants } from '../schema/tenants.ts';
import { isLive } from './load-space.ts';

/** Everything of a state but its objects, at one moment. */
export interface Around extends Omit<WorldState, 'space' | 'seq' | 'durableSeq' | 'objects'> {
  space: Space;
  rev: number;
  /** Which rows are the world's, and since when. */
  generation: number;
  generationSeq: number;
}

/** How far a space is, and which rows are its world. */
export function selectVersion(db: Database, tenantId: string, spaceId: string) {
  return db
    .select({ seq: spaces.logCursor, generation: spaces.generation, generationSeq: spaces.generationSeq })
    .from(spaces)
    .where(isLive(tenantId, spaceId));
}

/** What `toAround` takes. */
export function selectAround(db: Database, tenantId: string, spaceId: string) {
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

type AroundRows = Results<ReturnType<typeof selectAround>>;

/** @param results those of `selectAround`, and any behind them. @returns null where there is no such space. */
export function toAround(results: readonly [...AroundRows, ...unknown[]]): Around | null {
  const [[found], [version], avatars, models, media, chat] = results;
  if (found === undefined || version === undefined) return null;
  return {
    space: toSpace(found.space),
    rev: found.rev,
    generation: version.generation,
    generationSeq: version.generationSeq,
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
  };
}
