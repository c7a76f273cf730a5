import { and, eq, isNotNull, sql } from 'drizzle-orm';
import type { DrainStore, LogAddress } from '../../log/log-stores.ts';
import type { WorldObject } from '../../world/types.ts';
import { toTexts } from '../array-literal.ts';
import type { Postgres } from '../client.ts';
import { CREATOR, objectColumns, toWorldObject, UPDATER } from '../rows.ts';
import { spaceMembers, spaces } from '../schema/spaces.ts';
import { isLive } from './load-space.ts';

/** Some objects of a world; missing objects are left out. */
export async function loadObjects(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  ids: readonly string[],
): Promise<WorldObject[]> {
  const [[space], rows] = await postgres.inTenant(
    tenantId,
    (db) => [
      db.select({ generationSeq: spaces.generationSeq }).from(spaces).where(isLive(tenantId, spaceId)),
      db
        .select(objectColumns)
        .from(sql`find_objects(${spaceId}, ${toTexts(new Set(ids))}::text[]) as world_objects`)
        .leftJoin(...CREATOR)
        .leftJoin(...UPDATER),
    ],
    'snapshot',
  );
  if (space === undefined) return [];
  return rows.map((row) => toWorldObject(row, spaceId, space.generationSeq));
}

/** The avatars of some people in a space; who has none there is left out. */
export async function loadAvatars(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  ids: readonly string[],
): ReturnType<DrainStore['loadAvatars']> {
  const m = spaceMembers;
  const [rows] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({
          id: m.userId,
          // A constraint holds that a row with a position has all of it, and a rotation.
          px: sql<number>`${m.positionX}`.mapWith(m.positionX),
          py: sql<number>`${m.positionY}`.mapWith(m.positionY),
          pz: sql<number>`${m.positionZ}`.mapWith(m.positionZ),
          rx: sql<number>`${m.rotationX}`.mapWith(m.rotationX),
          ry: sql<number>`${m.rotationY}`.mapWith(m.rotationY),
          rz: sql<number>`${m.rotationZ}`.mapWith(m.rotationZ),
          rw: sql<number>`${m.rotationW}`.mapWith(m.rotationW),
          properties: m.properties,
        })
        .from(m)
        .where(
          and(
            eq(m.tenantId, tenantId),
            eq(m.spaceId, spaceId),
            isNotNull(m.positionX),
            sql`${m.userId} = any(${toTexts(ids)}::text[])`,
          ),
        ),
    ],
    'snapshot',
  );
  return rows.map(({ id, px, py, pz, rx, ry, rz, rw, properties }) => ({
    id,
    position: { x: px, y: py, z: pz },
    rotation: { x: rx, y: ry, z: rz, w: rw },
    properties,
  }));
}
