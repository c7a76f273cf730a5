import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { addAuditRows, eraseAuditRows, waitForTransactions } from '../../test/audit-rows.ts';
import { type OwnDatabase, openOwnDatabase } from '../../test/own-database.ts';
import { uniqueName } from '../../test/support.ts';
import { createSealStore, createVerifyStore } from '../postgres/audit-seal-store.ts';
import { verifyAudit } from './verify-audit.ts';

let database: OwnDatabase;
beforeAll(async () => {
  database = await openOwnDatabase();
});
afterAll(() => database?.close());

const DAYS = ['2026-02-01', '2026-02-02', '2026-02-03'] as const;
/** Three days, a seal each: rows 0 to 4, 5 to 9, 10 to 14. */
let tenantId: string;
let ids: number[];
beforeEach(async () => {
  tenantId = uniqueName('t');
  ids = [];
  for (const day of DAYS) {
    ids.push(...(await addAuditRows(database.admin, tenantId, { count: 5, day })));
    await seal();
  }
});

async function seal(): Promise<void> {
  await waitForTransactions(database.admin);
  await createSealStore(database.postgres).sealAudit(1_000);
}

/** Runs a statement as a superuser. `ids` is $1, the tenant $2. */
const change = (statement: string, rows: readonly number[] = []) =>
  database.admin.query(`with given (ids, tenant) as (values ($1::bigint[], $2::text)) ${statement}`, [
    rows,
    tenantId,
  ]);

async function verify(options: Partial<Parameters<typeof verifyAudit>[1]> = {}) {
  const report = await verifyAudit(createVerifyStore(database.postgres), { tenantId, ...options });
  const [tenant] = report.tenants;
  if (tenant === undefined) throw new Error('No tenant was verified.');
  expect(report.intact).toBe(tenant.problems.length === 0);
  return tenant;
}

const row = (kind: string, index: number, count = 1) => ({
  kind,
  count,
  day: DAYS[Math.floor(index / 5)],
  auditId: ids[index],
  seal: Math.floor(index / 5) + 1,
});
const sealed = (kind: string, number: number, day: string | null = null) => ({
  kind,
  count: 1,
  day,
  auditId: null,
  seal: number,
});
const at = (...indexes: number[]) => indexes.map((index) => ids[index] as number);

it('[Q5] finds an audit intact, and reports its head and its rows without a seal', async () => {
  await addAuditRows(database.admin, tenantId, { count: 2, day: '2026-02-03' });
  expect(await verify()).toEqual({
    tenantId,
    rows: 17,
    seals: 3,
    from: DAYS[0],
    to: DAYS[2],
    erased: { rows: 0, actors: 0 },
    unsealed: { rows: 2, oldestAt: '2026-02-03T12:00:00.000Z' },
    expired: 0,
    head: { number: 3, hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
    problems: [],
  });
  expect(await verify({ from: DAYS[1], to: DAYS[1] })).toMatchObject({ rows: 5, from: DAYS[1], to: DAYS[1] });
});

it.each([
  ['a text', "update audit_entries set new = '{}' from given where audit_id = any (ids)"],
  ['an actor', "update audit_entries set actor = 'bob' from given where audit_id = any (ids)"],
  [
    'a time',
    "update audit_entries set at = at + interval '1 microsecond' from given where audit_id = any (ids)",
  ],
  ['a transaction', 'update audit_entries set xid = xid + 1 from given where audit_id = any (ids)'],
  [
    'a salt',
    'update audit_entries set content_salt = gen_random_uuid() from given where audit_id = any (ids)',
  ],
  ['a hash', "update audit_entries set actor_hash = '' from given where audit_id = any (ids)"],
  ['a space, to nothing', 'update audit_entries set space_id = null from given where audit_id = any (ids)'],
])('[Q5a] names the first row in which %s was changed', async (_, statement) => {
  await change(statement, at(6, 8, 12));
  expect((await verify()).problems).toEqual([row('row_altered', 6, 3)]);
  expect((await verify({ to: DAYS[0] })).problems).toEqual([]);
});

it('[Q5b] names the first removed row, also if a whole day was emptied', async () => {
  await change('delete from audit_entries using given where audit_id = any (ids)', at(3));
  expect((await verify()).problems).toEqual([row('row_removed', 3)]);
  await change('delete from audit_entries using given where audit_id = any (ids)', ids.slice(5, 10));
  expect((await verify()).problems).toEqual([row('row_removed', 3, 6)]);
  expect((await verify({ from: DAYS[1] })).problems).toEqual([row('row_removed', 5, 5)]);
});

it('[Q5b] names a row that was moved to another tenant or day', async () => {
  const other = uniqueName('o');
  await database.admin.query('update audit_entries set tenant_id = $1 where audit_id = $2', [other, ids[2]]);
  expect((await verify()).problems).toEqual([row('row_removed', 2)]);
  expect((await verify({ tenantId: other })).problems).toEqual([
    { kind: 'row_added', count: 1, day: DAYS[0], auditId: ids[2], seal: null },
  ]);
  await change(
    "update audit_entries set at = at + interval '1 day' from given where audit_id = any (ids)",
    at(9),
  );
  expect((await verify()).problems).toEqual([
    row('row_removed', 2, 2),
    { kind: 'row_added', count: 1, day: DAYS[2], auditId: ids[9], seal: null },
  ]);
});

it('[Q5c] names a row that was added behind the seals', async () => {
  const [added] = await addAuditRows(database.admin, tenantId, { day: DAYS[1], xid: 3 });
  const problem = { kind: 'row_added', count: 1, day: DAYS[1], auditId: added, seal: null };
  expect((await verify()).problems).toEqual([problem]);
  await seal();
  expect((await verify()).problems).toEqual([problem]);
});

it('[Q5c] names a row that is there twice', async () => {
  await change(
    'insert into audit_entries select e.* from audit_entries e, given where audit_id = any (ids)',
    at(7, 7),
  );
  expect((await verify()).problems).toEqual([{ ...row('row_repeated', 7), seal: null }]);
});

it('[Q5d] finds an erased row intact, and counts it', async () => {
  await eraseAuditRows(database.admin, at(1, 2));
  await eraseAuditRows(database.admin, at(3), { content: false });
  expect(await verify()).toMatchObject({ rows: 15, erased: { rows: 2, actors: 3 }, problems: [] });
  // Without the salts, nobody can find the text by guessing it.
  await change(
    "update audit_entries set actor_hash = sha256('') from given where audit_id = any (ids)",
    at(2),
  );
  expect((await verify()).problems).toEqual([row('row_altered', 2)]);
});

it.each([
  ['a new text', "update audit_entries e set new = '{}'"],
  ['its old salt', 'update audit_entries e set content_salt = gen_random_uuid()'],
  ['another actor', "update audit_entries e set actor = 'bob'"],
  ['a request', "update audit_entries e set request_id = 'request'"],
  ['another object', "update audit_entries e set object_id = 'o'"],
])('[Q5d] refuses a row that counts as erased and has %s', async (_, statement) => {
  await eraseAuditRows(database.admin, at(1, 2));
  await change(`${statement} from given where audit_id = any (ids)`, at(2));
  expect((await verify()).problems).toEqual([row('row_mixed', 2)]);
});

it('[Q6] names a changed seal', async () => {
  await change(
    'update audit_seals s set ids = s.ids[1:4], hashes = s.hashes[1:4] from given where tenant_id = tenant and number = 2',
  );
  expect((await verify()).problems).toEqual([
    sealed('seal_changed', 2),
    // The row is there, and no name is left for it.
    { kind: 'row_added', count: 1, day: DAYS[1], auditId: ids[9], seal: null },
  ]);
});

/** The owner of the database changes a row, and writes its seal again: with the right hash of its own. */
async function rewrite(number: number): Promise<void> {
  await database.admin.query(
    `update audit_seals s set previous = coalesce((select p.hash from audit_seals p where p.tenant_id = s.tenant_id and p.number = s.number - 1), ''),
      hashes = (select array_agg(audit_hash(e) order by audit_id) from audit_entries e where e.audit_id = any (s.ids))
    where tenant_id = $1 and number = $2`,
    [tenantId, number],
  );
  await database.admin.query(
    'update audit_seals s set hash = audit_seal_hash(s) where tenant_id = $1 and number = $2',
    [tenantId, number],
  );
}

it('[Q6a] names the seal behind one that was written again', async () => {
  await change("update audit_entries set actor = 'bob' from given where audit_id = any (ids)", at(6));
  await rewrite(2);
  expect((await verify()).problems).toEqual([sealed('seal_broken', 3)]);
});

it('[Q6b] a head that was kept shows a chain that was written again to its end', async () => {
  const { head } = await verify();
  if (head === null) throw new Error('The chain has no head.');
  const heads = (number: number | null) => ({ heads: new Map([[tenantId, { number, hash: head.hash }]]) });
  await addAuditRows(database.admin, tenantId);
  await seal();
  expect((await verify(heads(3))).problems).toEqual([]);
  expect((await verify(heads(null))).problems).toEqual([]);
  expect((await verify(heads(4))).problems).toEqual([{ ...sealed('head_missing', 4) }]);
  await change("update audit_entries set actor = 'bob' from given where audit_id = any (ids)", at(6));
  for (const number of [2, 3, 4]) await rewrite(number);
  expect((await verify()).problems).toEqual([]);
  expect((await verify(heads(3))).problems).toEqual([sealed('head_missing', 3)]);
});

it('[Q6b] a head that was kept shows that a tenant has lost everything', async () => {
  const { head } = await verify();
  if (head === null) throw new Error('The chain has no head.');
  await change('delete from audit_entries using given where tenant_id = tenant');
  await change('delete from audit_seals using given where tenant_id = tenant');
  const report = await verifyAudit(createVerifyStore(database.postgres), {
    heads: new Map([[tenantId, head]]),
  });
  expect(report.intact).toBe(false);
  expect(report.tenants.find((tenant) => tenant.tenantId === tenantId)).toMatchObject({
    rows: 0,
    head: null,
    problems: [{ kind: 'head_missing', seal: 3 }],
  });
});

it('[Q6c] names a seal that was removed from the middle, the beginning or the end', async () => {
  const remove = (number: number) =>
    change(`delete from audit_seals using given where tenant_id = tenant and number = ${number}`);
  const loose = (index: number, count: number) => ({ ...row('row_added', index, count), seal: null });
  await remove(2);
  expect((await verify()).problems).toEqual([sealed('seal_missing', 2), loose(5, 5)]);
  await remove(1);
  expect((await verify()).problems).toEqual([sealed('seal_missing', 2, DAYS[1]), loose(0, 10)]);
  // With its rows: only the day of the seal before shows it.
  await change('delete from audit_entries using given where audit_id = any (ids)', ids.slice(0, 10));
  expect((await verify()).problems).toEqual([sealed('seal_missing', 2, DAYS[1])]);
  await remove(3);
  expect((await verify()).problems).toEqual([loose(10, 5)]);
});

it('[Q6d] rows of days that went are not missed, unless they are asked for', async () => {
  const { admin } = database;
  const names = ['2024-01-01', '2024-01-02'];
  const old = uniqueName('old');
  for (const day of names) {
    await addAuditRows(admin, old, { day });
    await seal();
  }
  await admin.query('drop table day_partitions.audit_entries_20240101');
  expect(await verify({ tenantId: old })).toMatchObject({ rows: 1, expired: 1, problems: [] });
  expect((await verify({ tenantId: old, from: '2024-01-01' })).problems).toMatchObject([
    { kind: 'row_removed', day: '2024-01-01', seal: 1 },
  ]);
  await admin.query('delete from audit_seals where tenant_id = $1 and number = 1', [old]);
  expect(await verify({ tenantId: old })).toMatchObject({ rows: 1, expired: 0, problems: [] });
  expect((await verify({ tenantId: old, from: '2024-01-01' })).problems).toMatchObject([
    { kind: 'seal_missing', day: '2024-01-01', seal: 1 },
  ]);
});

it('[Q7] does not trust functions of the database', async () => {
  const { admin } = database;
  await change("update audit_entries set actor = 'bob' from given where audit_id = any (ids)", at(6));
  await eraseAuditRows(admin, at(7));
  await change("update audit_entries set new = '{}' from given where audit_id = any (ids)", at(7));
  const forged = "returns bytea language sql stable as $$ select ''::bytea $$";
  await admin.query(`alter function audit_hash(audit_entries) rename to kept_hash`);
  await admin.query(`create function audit_hash(e audit_entries) ${forged}`);
  await admin.query(
    `create function jsonb_build_array(text, bigint, bigint, bigint) returns jsonb language sql immutable as $$ select '[]'::jsonb $$`,
  );
  await admin.query(
    'create function num_nonnulls(uuid, text, jsonb, jsonb) returns integer language sql immutable as $$ select 0 $$',
  );
  try {
    expect((await verify()).problems).toEqual([row('row_altered', 6), row('row_mixed', 7)]);
  } finally {
    await admin.query('drop function num_nonnulls(uuid, text, jsonb, jsonb)');
    await admin.query('drop function jsonb_build_array(text, bigint, bigint, bigint)');
    await admin.query('drop function audit_hash(audit_entries)');
    await admin.query('alter function kept_hash(audit_entries) rename to audit_hash');
  }
});

it('[Q7a] verifies every tenant, one after the other', async () => {
  const progress: number[] = [];
  const report = await verifyAudit(createVerifyStore(database.postgres), {
    onProgress: ({ rows }) => progress.push(rows),
  });
  const names = report.tenants.map((tenant) => tenant.tenantId);
  expect(names).toContain(tenantId);
  expect(names).toEqual(names.toSorted());
  expect(progress.at(-1)).toBe(report.tenants.reduce((sum, { rows }) => sum + rows, 0));
});
