import { sql } from 'drizzle-orm';
import type { IncidentRecord } from '../../log/incidents.ts';
import type { JsonObject } from '../../world/types.ts';
import type { Postgres } from '../client.ts';
import { toTime } from '../rows.ts';

/** See list_incidents. */
export async function listIncidents(
  postgres: Postgres,
  tenantId: string,
  { spaceId, before, limit }: { spaceId: string | null; before: string; limit: number },
): Promise<{ incidents: IncidentRecord[]; more: boolean }> {
  const [rows] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({
          id: sql<string>`incident_id`,
          spaceId: sql<string>`space_id`,
          kind: sql<string>`kind`,
          detail: sql<JsonObject>`detail`,
          at: sql<string>`created_at`,
        })
        .from(sql`list_incidents(${spaceId}, ${before}, ${limit + 1}::integer)`),
    ],
    'snapshot',
  );
  return {
    incidents: rows.slice(0, limit).map(({ at, ...row }) => ({ ...row, at: toTime(at) })),
    more: rows.length > limit,
  };
}
