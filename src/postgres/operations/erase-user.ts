import { type SQL, sql } from 'drizzle-orm';
import type { ErasedRows, WorldStore } from '../../persistence/world-stores.ts';
import { LIMITS } from '../../world/limits.ts';
import type { Postgres } from '../client.ts';

/**
 * Erases a person, as erase_user describes. The older rows of the audit go before that in transactions of their own, so that the spaces are
 * not locked meanwhile. @returns null if there was nothing to erase
 */
export async function eraseUser(
  postgres: Postgres,
  tenantId: string,
  userId: string,
): ReturnType<WorldStore['eraseUser']> {
  // Random, not made from the id: what is made from an id is found by trying ids.
  const pseudonym = `erased:${crypto.randomUUID()}`;
  const [files] = await postgres.inTenant(tenantId, (db) => [
    db
      .select({ mediaId: sql<string | null>`media_id` })
      .from(sql`find_own_avatar_file(${userId}) as media_id`),
  ]);
  const mediaId = files[0]?.mediaId ?? null;
  let audited = await eraseOldAudit(postgres, tenantId, { userId, pseudonym, mediaId });
  let total: ErasedRows | null = null;
  let objectKey: string | null = null;
  for (;;) {
    const [rows] = await postgres.inTenant(tenantId, (db) => [
      db
        .select({ erased: sql<(ErasedRows & { objectKey: string | null }) | null>`erased` })
        .from(
          sql`erase_user(${userId}, ${pseudonym}, ${mediaId}, ${audited}::bigint, ${LIMITS.erasedMessagesMax}::integer) as erased`,
        ),
    ]);
    const erased = rows[0]?.erased ?? null;
    if (erased === null) break;
    const { objectKey: key, ...counts } = erased;
    objectKey ??= key;
    total = total === null ? counts : addRows(total, counts);
    audited = 0;
    if (counts.messages < LIMITS.erasedMessagesMax) break;
  }
  return total && { rows: total, objectKey };
}

function addRows(a: ErasedRows, b: ErasedRows): ErasedRows {
  const kinds = Object.keys(a) as (keyof ErasedRows)[];
  return Object.fromEntries(kinds.map((kind) => [kind, a[kind] + b[kind]])) as unknown as ErasedRows;
}

interface Page {
  changed: string;
  lastAt: string | null;
  lastId: string | null;
}

/** See erase_audit_page. @returns the number of changed rows */
async function eraseOldAudit(
  postgres: Postgres,
  tenantId: string,
  { userId, pseudonym, mediaId }: { userId: string; pseudonym: string; mediaId: string | null },
): Promise<number> {
  let changed = 0;
  let place: { lastAt: string | null; lastId: string | null } = { lastAt: '-infinity', lastId: '0' };
  while (place.lastAt !== null) {
    const { lastAt, lastId } = place;
    const page: SQL = sql`erase_audit_page(
      ${userId}, ${pseudonym}, ${mediaId}, ${lastAt}::timestamptz, ${lastId}::bigint, now() - interval '1 minute',
      ${LIMITS.erasedAuditRowsMax}::integer, 0::bigint)`;
    const [rows]: [Page[]] = await postgres.inTenant(tenantId, (db) => [
      db
        .select({
          changed: sql<string>`changed`,
          lastAt: sql<string | null>`last_at::text`,
          lastId: sql<string | null>`last_id::text`,
        })
        .from(page),
    ]);
    changed += Number(rows[0]?.changed ?? 0);
    place = rows[0] ?? { lastAt: null, lastId: null };
  }
  return changed;
}
