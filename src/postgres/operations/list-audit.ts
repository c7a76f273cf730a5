import { and, type SQL, sql } from 'drizzle-orm';
import type { AuditAction, AuditFilter, AuditPage, AuditPlace } from '../../audit/audit-stores.ts';
import { LIMITS } from '../../world/limits.ts';
import type { JsonObject } from '../../world/types.ts';
import type { Postgres } from '../client.ts';

interface AuditRow {
  id: string;
  micros: string;
  actor: string | null;
  requestId: string | null;
  table: string;
  action: AuditAction;
  spaceId: string | null;
  objectId: string | null;
  userId: string | null;
  old: JsonObject | null;
  new: JsonObject | null;
  isErased: boolean;
  /** Rows of the page, before its bytes are counted. */
  found: number;
}

/**
 * A page of a tenant's audit, the newest first. Postgres goes through the days from the newest on, and stops at the limit. Old and new
 * content may be large, so a page ends by its bytes too.
 */
export async function listAudit(
  postgres: Postgres,
  tenantId: string,
  { space, actor, table, object, from, to }: AuditFilter,
  limit: number,
  before: AuditPlace | null,
): Promise<AuditPage> {
  const equals = (column: string, value: string | undefined): SQL | undefined =>
    value === undefined ? undefined : sql`${sql.identifier(column)} = ${value}`;
  const where = and(
    sql`tenant_id = ${tenantId}`,
    equals('space_id', space),
    equals('actor', actor),
    equals('table_name', table),
    equals('object_id', object),
    from === undefined ? undefined : sql`at >= ${from}::timestamptz`,
    to === undefined ? undefined : sql`at < ${to}::timestamptz`,
    // The first leaves out later days, which the second alone would look into.
    before === null ? undefined : sql`at <= seq_to_time(${before.micros}::bigint)`,
    before === null
      ? undefined
      : sql`(at, audit_id) < (seq_to_time(${before.micros}::bigint), ${before.id}::bigint)`,
  );
  const order = sql`at desc, audit_id desc`;
  const size = sql`octet_length(coalesce(old::text, '')) + octet_length(coalesce(new::text, ''))`;
  const found = sql`select *, ${size} as size from audit_entries where ${where} order by ${order} limit ${limit + 1}`;
  const sizeBefore = sql`sum(size) over (order by ${order}) - size as size_before`;
  const counted = sql`select *, count(*) over ()::integer as found, ${sizeBefore} from (${found}) as found`;
  const [rows] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({
          id: sql<string>`audit_id::text`,
          micros: sql<string>`((extract(epoch from at) * 1000000)::bigint)::text`,
          actor: sql<AuditRow['actor']>`actor`,
          requestId: sql<AuditRow['requestId']>`request_id`,
          table: sql<AuditRow['table']>`table_name`,
          action: sql<AuditRow['action']>`action`,
          spaceId: sql<AuditRow['spaceId']>`space_id`,
          objectId: sql<AuditRow['objectId']>`object_id`,
          userId: sql<AuditRow['userId']>`user_id`,
          old: sql<AuditRow['old']>`old`,
          new: sql<AuditRow['new']>`new`,
          isErased: sql<boolean>`actor_hash is not null or content_hash is not null`,
          found: sql<number>`found`,
        })
        .from(sql`(${counted}) as page`)
        .where(sql`size_before < ${LIMITS.auditPageBytesMax}::bigint`)
        // Qualified: the printed id of the answer has the name of its column, and another order.
        .orderBy(sql`page.at desc, page.audit_id desc`)
        .limit(limit),
    ],
    'snapshot',
  );
  const last = rows.at(-1);
  const isWhole = last === undefined || last.found <= rows.length;
  return {
    entries: rows.map(({ micros, found: _, ...row }) => ({
      ...row,
      at: new Date(Number(micros) / 1_000).toISOString(),
    })),
    next: isWhole ? null : { micros: last.micros, id: last.id },
  };
}
