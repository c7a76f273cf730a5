import { count, eq, sql } from 'drizzle-orm';
import { LIMITS } from '../../world/limits.ts';
import type { Postgres } from '../client.ts';
import { logSpill } from '../schema/log.ts';

/** The tenant's requests that wait for Redis. It reads `LIMITS.figuresSpilledMax` rows of an index at most. */
export async function countSpilled(postgres: Postgres, tenantId: string): Promise<number> {
  const [[row]] = await postgres.inTenant(
    tenantId,
    (db) => [
      db.select({ n: count() }).from(
        db
          .select({ one: sql<number>`1`.as('one') })
          .from(logSpill)
          .where(eq(logSpill.tenantId, tenantId))
          .limit(LIMITS.figuresSpilledMax)
          .as('spilled'),
      ),
    ],
    'snapshot',
  );
  return row?.n ?? 0;
}
