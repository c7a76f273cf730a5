import { and, eq, exists, gt, isNull, sql } from 'drizzle-orm';
import type { SessionStore } from '../access/sessions.ts';
import type { Role } from '../world/types.ts';
import type { Database, Postgres } from './client.ts';
import { isLive } from './operations/load-space.ts';
import { toTime } from './rows.ts';
import { sessions, users } from './schema/people.ts';
import { spaces } from './schema/spaces.ts';

/** The store of Sessions, on Postgres. */
export function createSessionStore(postgres: Postgres): SessionStore {
  return {
    async mintSession({ tenantId, id, spaceId, userId, role, createdAt, expiresAt }) {
      const [rows] = await postgres.inTenant(tenantId, (db) => [
        db
          .select({
            role: sql<Role | null>`role`,
            hasSpace: sql<boolean>`${exists(db.select().from(spaces).where(isLive(tenantId, spaceId)))}`,
          })
          .from(
            sql`mint_session(${id}, ${spaceId}, ${userId}, ${role}, ${createdAt}::timestamptz, ${expiresAt}::timestamptz) as role`,
          ),
      ]);
      const { role: minted, hasSpace } = rows[0] ?? { role: null, hasSpace: false };
      return minted ?? (hasSpace ? 'unknown_person' : 'unknown_space');
    },

    async findSession(tenantId, id) {
      const [rows] = await postgres.inTenant(tenantId, (db) => [
        db
          .select({
            id: sessions.sessionId,
            tenantId: sessions.tenantId,
            spaceId: sessions.spaceId,
            userId: sessions.userId,
            role: sessions.role,
            expiresAt: sessions.expiresAt,
            endedAt: sessions.endedAt,
          })
          .from(sessions)
          .innerJoin(
            spaces,
            and(
              eq(spaces.tenantId, sessions.tenantId),
              eq(spaces.spaceId, sessions.spaceId),
              isNull(spaces.deletedAt),
            ),
          )
          .where(isSession(tenantId, id)),
      ]);
      const row = rows[0];
      if (row === undefined) return null;
      return {
        ...row,
        role: row.role as Role,
        expiresAt: toTime(row.expiresAt),
        endedAt: row.endedAt && toTime(row.endedAt),
      };
    },

    async touchSession(tenantId, id, at) {
      const isOpen = and(isSession(tenantId, id), isNull(sessions.endedAt), gt(sessions.expiresAt, at));
      const [rows] = await postgres.inTenant(tenantId, (db) => [
        db
          .update(sessions)
          .set({ lastHeartbeatAt: at })
          // A stay ends with its space, whose deletion leaves the row as it is.
          .where(and(isOpen, exists(selectSpace(db))))
          .returning(PLACE),
        db
          .update(users)
          .set({ lastSeenAt: at })
          .where(and(eq(users.tenantId, tenantId), eq(users.userId, selectUserId(db, isOpen)))),
      ]);
      return rows[0] ?? null;
    },

    async endSession(tenantId, id, at) {
      const now = sql`${at}::timestamptz`;
      const end = sql`case when ${sessions.expiresAt} > ${now} then ${now}
        else coalesce(${sessions.lastHeartbeatAt}, ${sessions.createdAt}) end`;
      const [ended, known] = await postgres.inTenant(tenantId, (db) => [
        db
          .update(sessions)
          .set({ endedAt: now })
          .where(and(isSession(tenantId, id), isNull(sessions.endedAt)))
          .returning({
            ...PLACE,
            seconds: sql<number>`greatest(0, round(extract(epoch from ${end} - ${sessions.createdAt})))::integer`,
          }),
        db
          .select({ ...PLACE, seconds: sql<null>`null` })
          .from(sessions)
          .where(isSession(tenantId, id)),
      ]);
      return ended[0] ?? known[0] ?? null;
    },

    async listSpacesOf(tenantId, userId, at, limit) {
      const [rows] = await postgres.inTenant(tenantId, (db) => [
        db
          .selectDistinct({ spaceId: sessions.spaceId })
          .from(sessions)
          .where(
            and(
              ...[eq(sessions.tenantId, tenantId), eq(sessions.userId, userId)],
              ...[isNull(sessions.endedAt), gt(sessions.expiresAt, at)],
            ),
          )
          .limit(limit),
      ]);
      return rows.map(({ spaceId }) => spaceId);
    },
  };
}

const PLACE = { spaceId: sessions.spaceId, userId: sessions.userId };

/** The stay's space, if it is there. */
function selectSpace(db: Database) {
  return db
    .select({ one: sql`1` })
    .from(spaces)
    .where(
      and(
        ...[eq(spaces.tenantId, sessions.tenantId), eq(spaces.spaceId, sessions.spaceId)],
        isNull(spaces.deletedAt),
      ),
    );
}

function isSession(tenantId: string, id: string) {
  return and(eq(sessions.tenantId, tenantId), eq(sessions.sessionId, id));
}

function selectUserId(db: Database, where: ReturnType<typeof and>) {
  return db.select({ id: sessions.userId }).from(sessions).where(where);
}
