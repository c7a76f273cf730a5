import { sql } from 'drizzle-orm';
import { uuidv7 } from 'uuidv7';
import { AppError } from '../../world/errors.ts';
import type { Space, SpaceInput } from '../../world/types.ts';
import type { Postgres } from '../client.ts';
import { asJson, spaceColumns, toSpace } from '../rows.ts';
import { spaces } from '../schema/spaces.ts';
import { isLive, selectSpace } from './load-space.ts';

/**
 * Makes the space, or gives it what is new; see put_space for what a deleted one becomes.
 * @param retired the incarnation whose log is retired. @returns what is to be retired first, where nothing was done.
 */
export async function putSpace(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
  { name, description = null, settings = {}, bounds = null }: SpaceInput,
  retired: string | null = null,
): Promise<{ space: Space; created: boolean } | { toRetire: string }> {
  const input = { name, description, settings, bounds };
  // A cleanup may have removed the deleted row for good while this waited for its lock. The next try finds no row.
  const outcome =
    (await put(postgres, tenantId, spaceId, input, retired)) ??
    (await put(postgres, tenantId, spaceId, input, retired));
  if (outcome === null)
    throw new AppError('store_unavailable', 'The space cannot be created now.', { retryAfterSeconds: 1 });
  return outcome;
}

/** @returns null if the row that it waited for was removed meanwhile */
async function put(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
  { name, description, settings, bounds }: Required<SpaceInput>,
  retired: string | null,
): Promise<{ space: Space; created: boolean } | { toRetire: string } | null> {
  const [[outcome], rows] = await postgres.inTenant(tenantId, (db) => [
    db
      .select({ isNew: sql<boolean>`is_new`, toRetire: sql<string | null>`to_retire` })
      .from(
        sql`put_space(${spaceId}, ${uuidv7()}, ${name}, ${description}, ${asJson(settings)}::jsonb, ${asJson(bounds)}::jsonb, ${retired})`,
      ),
    selectSpace(db, tenantId, spaceId),
  ]);
  if (typeof outcome?.toRetire === 'string') return { toRetire: outcome.toRetire };
  const row = rows[0];
  return row === undefined ? null : { space: toSpace(row), created: outcome?.isNew === true };
}

/** Gives a space what is new, and makes none. @returns null where it is not there. */
export async function updateSpace(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
  { name, description = null, settings = {}, bounds = null }: SpaceInput,
): Promise<Space | null> {
  const [rows] = await postgres.inTenant(tenantId, (db) => [
    db
      .update(spaces)
      .set({ name, description, settings, bounds, updatedAt: sql`now()` })
      .where(isLive(tenantId, spaceId))
      .returning(spaceColumns),
  ]);
  return rows[0] === undefined ? null : toSpace(rows[0]);
}
