import { sql } from 'drizzle-orm';
import type { Postgres } from '../client.ts';
import { spaces } from '../schema/spaces.ts';
import { isLive } from './load-space.ts';

/** Hides a space and all in it. @returns which incarnation of it that was, or null where it was not there. */
export async function deleteSpace(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
): Promise<{ incarnation: string } | null> {
  const [rows] = await postgres.inTenant(tenantId, (db) => [
    db
      .update(spaces)
      .set({ deletedAt: sql`now()` })
      .where(isLive(tenantId, spaceId))
      .returning({ incarnation: spaces.incarnation }),
  ]);
  return rows[0] ?? null;
}
