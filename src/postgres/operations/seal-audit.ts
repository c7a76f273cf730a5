import { sql } from 'drizzle-orm';
import type { Sealed } from '../../audit/seal-stores.ts';
import type { Postgres } from '../client.ts';

/** See seal_audit. */
export async function sealAudit(postgres: Postgres, limit: number): Promise<Sealed> {
  const [[row]] = await postgres.inTenant('', (db) => [
    db
      .select({
        status: sql<Sealed['status']>`status`,
        rows: sql<number>`rows`,
        seals: sql<number>`seals`,
        waitingSeconds: sql<number | null>`waiting_seconds`,
      })
      .from(sql`seal_audit(${limit}::integer)`),
  ]);
  return {
    status: row?.status ?? 'busy',
    rows: Number(row?.rows ?? 0),
    seals: Number(row?.seals ?? 0),
    waitingSeconds: row?.waitingSeconds == null ? null : Number(row.waitingSeconds),
  };
}
