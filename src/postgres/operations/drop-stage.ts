import { and, eq } from 'drizzle-orm';
import type { LogAddress } from '../../log/log-stores.ts';
import type { Postgres } from '../client.ts';
import { worldStages } from '../schema/spaces.ts';

/** Gives a staged world up: whatever names it finds it gone, and the next save sweeps what it was made of. */
export async function dropStage(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  stageId: string,
): Promise<void> {
  await postgres.inTenant(tenantId, (db) => [
    db
      .delete(worldStages)
      .where(
        and(
          eq(worldStages.tenantId, tenantId),
          eq(worldStages.spaceId, spaceId),
          eq(worldStages.stageId, stageId),
        ),
      ),
  ]);
}
