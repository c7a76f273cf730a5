import type pg from 'pg';

export interface AuditRows {
  count?: number;
  /** A day in UTC; without one, now. */
  day?: string;
  /** A transaction's number; without one, that of the insert. */
  xid?: number;
  actor?: string;
}

/** Adds audit rows as a trigger would, and the partition of their day. @returns their ids */
export async function addAuditRows(
  admin: pg.ClientBase,
  tenantId: string,
  { count = 1, day, xid, actor = 'ann' }: AuditRows = {},
): Promise<number[]> {
  if (day !== undefined) await admin.query(`select add_day('audit_entries', $1::date)`, [day]);
  const { rows } = await admin.query<{ id: string }>(
    `insert into audit_entries
      (tenant_id, at, xid, actor, request_id, table_name, action, space_id, object_id, user_id, old, new)
    select $1, coalesce($2::date::timestamp at time zone 'UTC' + interval '12 hours', now()),
      coalesce($3::bigint, pg_current_xact_id()::text::bigint), $4, 'request', 'world_objects', 'update', 'main', 'o' || i, 'ann',
      json_build_object('x', i), json_build_object('x', i + 1) from generate_series(1, $5::integer) i
    returning audit_id as id`,
    [tenantId, day ?? null, xid ?? null, actor, count],
  );
  return rows.map(({ id }) => Number(id));
}

/** Waits until every earlier transaction of the cluster has ended: other tests have transactions too, and a seal waits for them. */
export async function waitForTransactions(admin: pg.ClientBase): Promise<void> {
  const { rows } = await admin.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
  for (let isOver = false; !isOver; ) {
    const found = await admin.query<{ isOver: boolean }>(
      'select pg_snapshot_xmin(pg_current_snapshot())::text::bigint > $1::bigint as "isOver"',
      [rows[0]?.xid],
    );
    isOver = found.rows[0]?.isOver === true;
  }
}

/** Erases rows as the erasure of a person does: the hashes stay, the texts and salts go. */
export async function eraseAuditRows(
  admin: pg.ClientBase,
  ids: readonly number[],
  { actor = true, content = true }: { actor?: boolean; content?: boolean } = {},
): Promise<void> {
  if (actor)
    await admin.query(
      `update audit_entries e set actor_hash = audit_actor_hash(e), actor_salt = null, actor = 'erased:1', request_id = null
      where audit_id = any ($1)`,
      [ids],
    );
  if (content)
    await admin.query(
      `update audit_entries e set content_hash = audit_content_hash(e), content_salt = null, user_id = null, object_id = null,
        old = null, new = null
      where audit_id = any ($1)`,
      [ids],
    );
}
