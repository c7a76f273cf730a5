import { sql } from 'drizzle-orm';
import type { Postgres } from '../client.ts';
import { spaces } from '../schema/spaces.ts';
import { isLive } from './load-space.ts';

/** Hides a space and all in it. @returns whether it was there. */
export async function deleteSpace(postgres: Postgres, tenantId: string, spaceId: string): Promise<boolean> {
  const [rows] = await postgres.inTenant(tenantId, (db) => [
    db
      .update(spaces)
      .set({ deletedAt: sql`now()` })
      .where(isLive(tenantId, spaceId))
      .returning({ id: spaces.spaceId }),
  ]);
  return rows.length > 0;
}
