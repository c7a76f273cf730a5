import { and, eq, exists, isNull, sql } from 'drizzle-orm';
import type { WorldStore } from '../../persistence/world-stores.ts';
import { LIMITS } from '../../world/limits.ts';
import type { Postgres } from '../client.ts';
import { logSpill } from '../schema/log.ts';
import { chatMessages, spaces } from '../schema/spaces.ts';

/** The logs of a tenant, and whether requests wait there for their return. */
export async function listLogs(postgres: Postgres, tenantId: string): ReturnType<WorldStore['listLogs']> {
  const [rows] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({
          spaceId: spaces.spaceId,
          incarnation: spaces.incarnation,
          isSpilled: sql<boolean>`${exists(
            db
              .select()
              .from(logSpill)
              .where(and(eq(logSpill.tenantId, tenantId), eq(logSpill.spaceId, spaces.spaceId))),
          )}`,
        })
        .from(spaces)
        .where(and(eq(spaces.tenantId, tenantId), isNull(spaces.deletedAt))),
    ],
    'snapshot',
  );
  return rows;
}

/** The messages of a person among the newest of each space: readers of a log may show them. */
export async function listShownMessages(
  postgres: Postgres,
  tenantId: string,
  userId: string,
): ReturnType<WorldStore['listShownMessages']> {
  const [rows] = await postgres.inTenant(
    tenantId,
    (db) => {
      const newest = db
        .select({ messageId: chatMessages.messageId, userId: chatMessages.userId })
        .from(chatMessages)
        .where(
          and(
            ...[eq(chatMessages.tenantId, tenantId), eq(chatMessages.spaceId, spaces.spaceId)],
            isNull(chatMessages.deletedAt),
          ),
        )
        .orderBy(sql`created_at desc, message_id desc`)
        .limit(LIMITS.chatKeptMax)
        .as('newest');
      return [
        db
          .select({ spaceId: spaces.spaceId, ids: sql<string[]>`array_agg(${newest.messageId})` })
          .from(spaces)
          .crossJoinLateral(newest)
          .where(and(eq(spaces.tenantId, tenantId), isNull(spaces.deletedAt), eq(newest.userId, userId)))
          .groupBy(spaces.spaceId),
      ];
    },
    'snapshot',
  );
  return rows;
}
