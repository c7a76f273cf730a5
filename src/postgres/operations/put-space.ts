import { sql } from 'drizzle-orm';
import { uuidv7 } from 'uuidv7';
import type { Space, SpaceInput } from '../../world/types.ts';
import type { Postgres } from '../client.ts';
import { asJson, toSpace } from '../rows.ts';
import { selectSpace } from './load-space.ts';

/** Makes the space, or gives it what is new; see put_space for what a deleted one becomes. */
export async function putSpace(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
  { name, description = null, settings = {}, bounds = null }: SpaceInput,
): Promise<{ space: Space; created: boolean }> {
  const [outcome, rows] = await postgres.inTenant(tenantId, (db) => [
    db
      .select({ created: sql<boolean>`created` })
      .from(
        sql`put_space(${spaceId}, ${uuidv7()}, ${name}, ${description}, ${asJson(settings)}::jsonb, ${asJson(bounds)}::jsonb) as created`,
      ),
    selectSpace(db, tenantId, spaceId),
  ]);
  // The function has just locked the row, so it is there.
  const row = rows[0] as Space;
  return { space: toSpace(row), created: outcome[0]?.created === true };
}
