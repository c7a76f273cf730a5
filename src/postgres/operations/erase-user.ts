import { sql } from 'drizzle-orm';
import type { Postgres } from '../client.ts';

/** Erases a person, as erase_user describes. @returns whether there was anything to erase. */
export async function eraseUser(postgres: Postgres, tenantId: string, userId: string): Promise<boolean> {
  // Random, not made from the id: what is made from an id is found by trying ids.
  const pseudonym = `erased:${crypto.randomUUID()}`;
  const [rows] = await postgres.inTenant(tenantId, (db) => [
    db.select({ erased: sql<boolean>`erased` }).from(sql`erase_user(${userId}, ${pseudonym}) as erased`),
  ]);
  return rows[0]?.erased === true;
}
