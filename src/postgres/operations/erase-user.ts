import { sql } from 'drizzle-orm';
import type { ErasedRows, WorldStore } from '../../persistence/world-stores.ts';
import type { Postgres } from '../client.ts';

/** Erases a person, as erase_user describes. @returns null if there was nothing to erase */
export async function eraseUser(
  postgres: Postgres,
  tenantId: string,
  userId: string,
): ReturnType<WorldStore['eraseUser']> {
  // Random, not made from the id: what is made from an id is found by trying ids.
  const pseudonym = `erased:${crypto.randomUUID()}`;
  const [rows] = await postgres.inTenant(tenantId, (db) => [
    db
      .select({ erased: sql<(ErasedRows & { objectKey: string | null }) | null>`erased` })
      .from(sql`erase_user(${userId}, ${pseudonym}) as erased`),
  ]);
  const erased = rows[0]?.erased ?? null;
  if (erased === null) return null;
  const { objectKey, ...counts } = erased;
  return { rows: counts, objectKey };
}
