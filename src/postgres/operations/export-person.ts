import { sql } from 'drizzle-orm';
import type { WorldStore } from '../../persistence/world-stores.ts';
import { LIMITS } from '../../world/limits.ts';
import type { JsonObject } from '../../world/types.ts';
import type { Postgres } from '../client.ts';

/** Rows with texts or properties of up to 64 KiB are read in smaller pages: Neon answers 10 MiB. */
const LARGE_ROWS_MAX = 50;
const LARGE_PARTS = new Set(['memberships', 'deadLetters', 'spilled', 'audit']);

/** See export_person. */
export async function exportPerson(
  postgres: Postgres,
  tenantId: string,
  userId: string,
  { part, after }: Parameters<WorldStore['exportPerson']>[2],
): ReturnType<WorldStore['exportPerson']> {
  const limit = LARGE_PARTS.has(part) ? LARGE_ROWS_MAX : LIMITS.exportRowsMax;
  const [rows] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({ place: sql<string>`place`, item: sql<JsonObject>`item` })
        .from(sql`export_person(${userId}, ${part}, ${after}, ${limit}::integer)`),
    ],
    'snapshot',
  );
  return {
    items: rows.map(({ item }) => item),
    next: rows.length === limit ? (rows.at(-1)?.place ?? null) : null,
  };
}
