import { sql } from 'drizzle-orm';
import type { PersonPart, WorldStore } from '../../persistence/world-stores.ts';
import { LIMITS } from '../../world/limits.ts';
import type { JsonObject } from '../../world/types.ts';
import type { Postgres } from '../client.ts';

/** Rows of a page, by how large they may be: Neon answers 10 MiB, and quotes are longer there. */
const PAGE_ROWS: Partial<Record<PersonPart, number>> = {
  memberships: 50,
  deadLetters: 50,
  audit: 20,
  spilled: 4,
};

/** See export_person. */
export async function exportPerson(
  postgres: Postgres,
  tenantId: string,
  userId: string,
  { part, after }: Parameters<WorldStore['exportPerson']>[2],
): ReturnType<WorldStore['exportPerson']> {
  const limit = PAGE_ROWS[part] ?? LIMITS.exportRowsMax;
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
