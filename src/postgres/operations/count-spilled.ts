import { sql } from 'drizzle-orm';
import { LIMITS } from '../../world/limits.ts';
import type { Postgres } from '../client.ts';

/** The tenant's requests that wait for Redis. It counts to `LIMITS.figuresSpilledMax`. */
export async function countSpilled(postgres: Postgres, tenantId: string): Promise<number> {
  const [[row]] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({ spilled: sql<number>`spilled` })
        .from(sql`count_spilled(${LIMITS.figuresSpilledMax}::integer) as spilled`),
    ],
    'snapshot',
  );
  return Number(row?.spilled);
}
