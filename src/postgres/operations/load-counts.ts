import { and, count, eq, isNotNull, isNull, type SQL, sql } from 'drizzle-orm';
import type { TenantCounts } from '../../persistence/world-stores.ts';
import type { Seq, SpaceStatistics } from '../../world/types.ts';
import type { Database, Postgres } from '../client.ts';
import { spaceColumns, toTime } from '../rows.ts';
import { mediaAssets, uploadedModels } from '../schema/assets.ts';
import { users } from '../schema/people.ts';
import { chatMessages, spaceMembers, spaces, worldObjects } from '../schema/spaces.ts';
import { tenants } from '../schema/tenants.ts';
import { isInWorld } from './load-object.ts';
import { isLive } from './load-space.ts';

/** How many of the rows that are counted fulfil a condition. */
const countOf = (condition: SQL) => sql<number>`count(*) filter (where ${condition})`.mapWith(Number);
/**
 * Whether an object was written in the last hours; a seq is microseconds since 1970. Asked of the rows, which are counted
 * anyway: an index on seq would cost every write more than this costs to read.
 */
const changedIn = (hours: number) =>
  sql`coalesce(nullif(${worldObjects.seq}, 0), ${spaces.generationSeq}) > (select ((extract(epoch from now()) - ${hours}::int * 3600) * 1000000)::bigint)`;
const saidIn = (hours: number) => sql`${chatMessages.createdAt} > now() - ${hours}::int * interval '1 hour'`;

/** Objects of the worlds that are: rows of other generations are not in any. */
function selectObjectCount(db: Database) {
  return db.select({ n: count() }).from(spaces).innerJoin(worldObjects, isInWorld());
}

export async function loadStatistics(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
): Promise<SpaceStatistics | null> {
  const [[space], [objects], [members], [models], [media], [chat]] = await postgres.inTenant(
    tenantId,
    (db) => [
      db.select(spaceColumns).from(spaces).where(isLive(tenantId, spaceId)),
      db
        .select({ n: count(), lastHour: countOf(changedIn(1)), lastDay: countOf(changedIn(24)) })
        .from(spaces)
        .innerJoin(worldObjects, isInWorld())
        .where(isLive(tenantId, spaceId)),
      db
        .select({ n: count() })
        .from(spaceMembers)
        .where(
          and(
            eq(spaceMembers.tenantId, tenantId),
            eq(spaceMembers.spaceId, spaceId),
            isNotNull(spaceMembers.positionX),
          ),
        ),
      db.select({ n: count() }).from(uploadedModels).where(eq(uploadedModels.tenantId, tenantId)),
      db.select({ n: count() }).from(mediaAssets).where(eq(mediaAssets.tenantId, tenantId)),
      db
        .select({ n: count(), lastHour: countOf(saidIn(1)), lastDay: countOf(saidIn(24)) })
        .from(chatMessages)
        .where(
          and(
            eq(chatMessages.tenantId, tenantId),
            eq(chatMessages.spaceId, spaceId),
            isNull(chatMessages.deletedAt),
          ),
        ),
    ],
    'snapshot',
  );
  if (space === undefined) return null;
  return {
    spaceId,
    objects: objects?.n ?? 0,
    users: members?.n ?? 0,
    models: models?.n ?? 0,
    media: media?.n ?? 0,
    chatMessages: chat?.n ?? 0,
    seq: space.seq,
    durableSeq: space.seq,
    // As far as Postgres knows: a log may be ahead of it.
    durabilityLagMs: 0,
    activity: {
      lastHour: { objectsChanged: objects?.lastHour ?? 0, messages: chat?.lastHour ?? 0 },
      lastDay: { objectsChanged: objects?.lastDay ?? 0, messages: chat?.lastDay ?? 0 },
    },
    updatedAt: toTime(space.updatedAt),
  };
}

export async function countTenant(postgres: Postgres, tenantId: string): Promise<TenantCounts> {
  const [[people], [objects], [models]] = await postgres.inTenant(
    tenantId,
    (db) => [
      db.select({ n: count() }).from(users).where(eq(users.tenantId, tenantId)),
      selectObjectCount(db).where(and(eq(spaces.tenantId, tenantId), isNull(spaces.deletedAt))),
      db.select({ n: count() }).from(uploadedModels).where(eq(uploadedModels.tenantId, tenantId)),
    ],
    'snapshot',
  );
  return { users: people?.n ?? 0, objects: objects?.n ?? 0, models: models?.n ?? 0 };
}

export async function loadStateVersion(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
): Promise<{ seq: Seq; rev: number } | null> {
  const [rows] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({ seq: spaces.logCursor, rev: tenants.rev })
        .from(spaces)
        .innerJoin(tenants, eq(tenants.tenantId, spaces.tenantId))
        .where(isLive(tenantId, spaceId)),
    ],
    'snapshot',
  );
  return rows[0] ?? null;
}
