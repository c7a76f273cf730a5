import { and, count, eq, isNotNull, isNull, type SQL, sql } from 'drizzle-orm';
import type { TenantCounts } from '../../persistence-layer.ts';
import type { Seq, SpaceStatistics } from '../../world/types.ts';
import type { Database, Postgres } from '../client.ts';
import { spaceColumns, toTime } from '../rows.ts';
import { mediaAssets, uploadedModels } from '../schema/assets.ts';
import { users } from '../schema/people.ts';
import { chatMessages, spaceMembers, spaces, worldObjects } from '../schema/spaces.ts';
import { tenants } from '../schema/tenants.ts';
import { isInWorld } from './load-object.ts';
import { isLive } from './load-space.ts';

/** Of what counts rows, those behind a moment so many hours ago. A seq is microseconds since 1970. */
const inHours = (hours: number, seq: SQL) =>
  sql<number>`count(*) filter (where ${seq} > (extract(epoch from now()) - ${sql.raw(String(hours * 3_600))}) * 1000000)`.mapWith(
    Number,
  );
/** Asked of the rows, which are counted anyway: an index on seq would cost every write more than this costs to read. */
const objectSeq = sql`coalesce(nullif(${worldObjects.seq}, 0), ${spaces.generationSeq})`;
const messageSeq = sql`extract(epoch from ${chatMessages.createdAt}) * 1000000`;

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
        .select({ n: count(), lastHour: inHours(1, objectSeq), lastDay: inHours(24, objectSeq) })
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
        .select({ n: count(), lastHour: inHours(1, messageSeq), lastDay: inHours(24, messageSeq) })
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
    // Every write has committed before it is answered, so Postgres is never behind.
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
