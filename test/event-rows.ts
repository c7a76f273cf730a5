import { sql } from 'drizzle-orm';
import type { Postgres } from '../src/postgres/client.ts';
import type { JsonObject } from '../src/world/types.ts';

export interface EventRow {
  id: string;
  type: string;
  spaceId: string | null;
  userId: string | null;
  at: string;
  data: JsonObject;
  createdAt: string;
}

/** The events of a tenant in Postgres, in their order. */
export async function readEvents(postgres: Postgres, tenantId: string): Promise<EventRow[]> {
  const [rows] = await postgres.inTenant(tenantId, (db) => [
    db
      .select({
        id: sql<string>`event_id`,
        type: sql<string>`type`,
        spaceId: sql<string | null>`space_id`,
        userId: sql<string | null>`user_id`,
        at: sql<string>`to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`,
        data: sql<JsonObject>`data`,
        createdAt: sql<string>`to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`,
      })
      .from(sql`events order by created_at, event_id`),
  ]);
  return rows;
}
