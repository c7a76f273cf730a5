import { type SQL, sql } from 'drizzle-orm';
import type { Chain, DayReport, RowFinding, SealFault } from '../../audit/seal-stores.ts';
import type { Database, Postgres } from '../client.ts';

/** Nothing in `public` takes the place of a function of Postgres. Tables have their schema. */
const useOwnFunctionsOnly = (db: Database) =>
  db.execute(sql`SELECT set_config('search_path', 'pg_catalog, pg_temp', true)`);

/*
 * The hashes of audit_hash and audit_seal_hash, written again with functions of Postgres itself: the owner of the database can replace the
 * functions of the migrations.
 */
const json = (...values: SQL[]) =>
  sql`convert_to(jsonb_build_array(${sql.join(values, sql`, `)})::text, 'UTF8')`;
const micros = (time: SQL) => sql`(extract(epoch FROM ${time}) * 1000000)::bigint`;
const ACTOR_HASH = sql`coalesce(e.actor_hash, sha256(${json(sql`e.actor_salt`, sql`e.actor`, sql`e.request_id`)}))`;
const CONTENT_HASH = sql`coalesce(e.content_hash, sha256(${json(
  ...[sql`e.content_salt`, sql`e.table_name`, sql`e.action`, sql`e.space_id`, sql`e.object_id`],
  ...[sql`e.user_id`, sql`e.old`, sql`e.new`],
)}))`;
const ROW_HASH = sql`sha256(
  ${json(sql`e.tenant_id`, sql`e.audit_id`, micros(sql`e.at`), sql`e.xid`)} || ${ACTOR_HASH} || ${CONTENT_HASH})`;
const SEAL_HASH = sql`sha256(
  ${json(sql`s.tenant_id`, sql`s.number`, sql`s.day`, sql`s.previous_day`, micros(sql`s.sealed_at`), sql`s.ids`)}
  || s.previous
  || (SELECT string_agg(h.hash, ''::bytea ORDER BY h.place)
    FROM ROWS FROM (unnest(s.hashes)) WITH ORDINALITY AS h (hash, place)))`;
/** A row may have the hash of a text only if the text is gone. Otherwise the text could be changed. An erased actor has a pseudonym. */
const IS_MIXED = sql`(e.content_hash IS NOT NULL AND num_nonnulls(e.content_salt, e.object_id, e.user_id, e.old, e.new) > 0)
  OR (e.actor_hash IS NOT NULL AND (num_nonnulls(e.actor_salt, e.request_id) > 0 OR e.actor NOT LIKE 'erased:%'))`;
/** A row without a seal, with the state of the job. See read_audit_state. */
const IS_WAITING = sql`f.audit_id > j.floor_id
  AND ((f.xid, f.audit_id) > (j.sealed_xid, j.sealed_id) OR (j.is_moving AND f.audit_id > j.newest_id))`;

/** Both are one step in an index. */
export async function nextAuditTenant(postgres: Postgres, after: string): Promise<string | null> {
  const [, [row]] = await postgres.inTenant('', (db) => [
    useOwnFunctionsOnly(db),
    db.select({ id: sql<string | null>`id` }).from(sql`public.next_audit_tenant(${after}) AS id`),
  ]);
  return row?.id ?? null;
}

export async function readOldestAuditDay(postgres: Postgres): Promise<string | null> {
  const [, [row]] = await postgres.inTenant('', (db) => [
    useOwnFunctionsOnly(db),
    db
      .select({ day: sql<string | null>`min(right(c.relname, 8)::date)::text` })
      .from(sql`pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'public.audit_entries'::regclass`),
  ]);
  return row?.day ?? null;
}

const selectFaults = (tenantId: string) => sql`SELECT c.number, CASE
    WHEN c.computed IS DISTINCT FROM c.hash THEN 'changed'
    WHEN c.number <> c.last_number + 1 THEN 'missing'
    WHEN c.last_number IS NOT NULL AND (c.previous, c.previous_day) IS DISTINCT FROM (c.last_hash, c.last_day) THEN 'broken'
    WHEN c.number = 1 AND (c.previous <> '' OR c.previous_day IS NOT NULL) THEN 'broken'
  END AS fault
  FROM (
    SELECT s.number, s.previous, s.previous_day, s.hash, ${SEAL_HASH} AS computed,
      lag(s.number) OVER w AS last_number, lag(s.hash) OVER w AS last_hash, lag(s.day) OVER w AS last_day
    FROM public.audit_seals s WHERE s.tenant_id = ${tenantId} WINDOW w AS (ORDER BY s.number)
  ) AS c`;

/** Checks every seal of a tenant, also against the one before it. */
export async function readChain(postgres: Postgres, tenantId: string): Promise<Chain> {
  const [, rows, ends] = await postgres.inTenant(
    tenantId,
    (db) => [
      useOwnFunctionsOnly(db),
      db
        .select({
          fault: sql<SealFault['fault'] | null>`fault`,
          count: sql<string>`count(*)`,
          number: sql<string>`min(number)`,
        })
        .from(sql`(${selectFaults(tenantId)}) AS checked GROUP BY fault ORDER BY min(number)`),
      db
        .select({
          number: sql<string>`number`,
          previousDay: sql<string | null>`previous_day::text`,
          hash: sql<string>`encode(hash, 'hex')`,
        })
        .from(sql`(
          (SELECT s.* FROM public.audit_seals s WHERE s.tenant_id = ${tenantId} ORDER BY s.number LIMIT 1)
          UNION ALL
          (SELECT s.* FROM public.audit_seals s WHERE s.tenant_id = ${tenantId} ORDER BY s.number DESC LIMIT 1)
        ) AS ends ORDER BY number`),
    ],
    'snapshot',
  );
  const [oldest, newest] = [ends[0], ends.at(-1)];
  return {
    seals: rows.reduce((sum, { count }) => sum + Number(count), 0),
    head: newest === undefined ? null : { number: Number(newest.number), hash: newest.hash },
    oldest: oldest === undefined ? null : { number: Number(oldest.number), previousDay: oldest.previousDay },
    faults: rows.flatMap(({ fault, count, number }) =>
      fault === null ? [] : [{ fault, count: Number(count), number: Number(number) }],
    ),
  };
}

export async function hasSeal(
  postgres: Postgres,
  tenantId: string,
  { number, hash }: { number: number | null; hash: string },
): Promise<boolean> {
  const [, rows] = await postgres.inTenant(tenantId, (db) => [
    useOwnFunctionsOnly(db),
    db.select({ number: sql`number` }).from(sql`public.audit_seals s
      WHERE s.tenant_id = ${tenantId} AND s.hash = decode(${hash}, 'hex')
        AND s.number = coalesce(${number}::bigint, s.number) LIMIT 1`),
  ]);
  return rows.length > 0;
}

/** One step in an index for each day with rows. */
const selectDays = (tenantId: string) => sql`WITH RECURSIVE held (day) AS (
    (
      SELECT (e.at AT TIME ZONE 'UTC')::date FROM public.audit_entries e WHERE e.tenant_id = ${tenantId}
      ORDER BY e.at LIMIT 1
    )
    UNION ALL
    SELECT (
      SELECT (e.at AT TIME ZONE 'UTC')::date FROM public.audit_entries e
      WHERE e.tenant_id = ${tenantId} AND e.at >= (h.day + 1)::timestamp AT TIME ZONE 'UTC'
      ORDER BY e.at LIMIT 1
    ) FROM held h WHERE h.day IS NOT NULL
  )
  SELECT h.day FROM held h WHERE h.day IS NOT NULL
  UNION
  SELECT s.day FROM public.audit_seals s WHERE s.tenant_id = ${tenantId}
  ORDER BY day`;

export async function listAuditDays(postgres: Postgres, tenantId: string): Promise<string[]> {
  const [, rows] = await postgres.inTenant(tenantId, (db) => [
    useOwnFunctionsOnly(db),
    db.select({ day: sql<string>`day::text` }).from(sql`(${selectDays(tenantId)}) AS days`),
  ]);
  return rows.map(({ day }) => day);
}

const selectFindings = (tenantId: string, day: string) => sql`WITH named AS (
    SELECT s.number, n.id, n.hash
    FROM public.audit_seals s, ROWS FROM (unnest(s.ids), unnest(s.hashes)) AS n (id, hash)
    WHERE s.tenant_id = ${tenantId} AND s.day = ${day}::date
  ), found AS (
    SELECT e.audit_id, e.xid, e.at, ${ROW_HASH} AS hash, ${IS_MIXED} AS is_mixed,
      e.content_hash IS NOT NULL AS is_erased, e.actor_hash IS NOT NULL AS is_actor_erased
    FROM public.audit_entries e
    WHERE e.tenant_id = ${tenantId} AND e.at >= ${day}::date::timestamp AT TIME ZONE 'UTC'
      AND e.at < (${day}::date + 1)::timestamp AT TIME ZONE 'UTC'
  )
  SELECT n.number, coalesce(n.id, f.audit_id) AS id, f.at AT TIME ZONE 'UTC' AS at, f.is_actor_erased, CASE
    WHEN f.audit_id IS NULL THEN 'removed'
    WHEN n.id IS NULL THEN CASE WHEN ${IS_WAITING} THEN 'unsealed' ELSE 'added' END
    WHEN n.hash IS DISTINCT FROM f.hash THEN 'altered'
    WHEN f.is_mixed THEN 'mixed'
    WHEN f.is_erased THEN 'erased'
    ELSE 'intact'
  END AS finding
  FROM named n FULL JOIN found f ON f.audit_id = n.id LEFT JOIN public.read_audit_state() j ON true`;

/** Compares the rows of a day with the seals of that day. Postgres holds what it joins, on disk if it is much; it sends only counts. */
export async function compareAuditDay(postgres: Postgres, tenantId: string, day: string): Promise<DayReport> {
  const [, rows] = await postgres.inTenant(tenantId, (db) => [
    useOwnFunctionsOnly(db),
    db
      .select({
        finding: sql<RowFinding>`finding`,
        count: sql<string>`count(*)`,
        auditId: sql<string>`min(id)`,
        seal: sql<
          string | null
        >`(min(ARRAY[id, number]) FILTER (WHERE finding NOT IN ('intact', 'erased')))[2]`,
        oldestAt: sql<string | null>`to_char(min(at), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`,
        named: sql<string>`(SELECT coalesce(sum(cardinality(s.ids)), 0) FROM public.audit_seals s
          WHERE s.tenant_id = ${tenantId} AND s.day = ${day}::date)`,
        actorsErased: sql<string>`count(*) FILTER (WHERE is_actor_erased)`,
      })
      .from(sql`(${selectFindings(tenantId, day)}) AS compared GROUP BY finding ORDER BY finding`),
  ]);
  return {
    findings: rows.map(({ finding, count, auditId, seal, oldestAt }) => ({
      finding,
      count: Number(count),
      auditId: Number(auditId),
      seal: seal === null ? null : Number(seal),
      oldestAt,
    })),
    named: Number(rows[0]?.named ?? 0),
    actorsErased: rows.reduce((sum, row) => sum + Number(row.actorsErased), 0),
  };
}

/** The lowest id that two rows of a day have. */
export async function findRepeatedRow(
  postgres: Postgres,
  tenantId: string,
  day: string,
): Promise<number | null> {
  const [, [row]] = await postgres.inTenant(tenantId, (db) => [
    useOwnFunctionsOnly(db),
    db.select({ id: sql<string>`audit_id` }).from(sql`public.audit_entries e
      WHERE e.tenant_id = ${tenantId} AND e.at >= ${day}::date::timestamp AT TIME ZONE 'UTC'
        AND e.at < (${day}::date + 1)::timestamp AT TIME ZONE 'UTC'
      GROUP BY audit_id HAVING count(*) > 1 ORDER BY audit_id LIMIT 1`),
  ]);
  return row === undefined ? null : Number(row.id);
}
