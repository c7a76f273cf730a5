import pg from 'pg';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { addAuditRows, waitForTransactions } from '../../test/audit-rows.ts';
import { type OwnDatabase, openOwnDatabase } from '../../test/own-database.ts';
import { uniqueName } from '../../test/support.ts';
import { createSealStore, createVerifyStore } from '../postgres/audit-seal-store.ts';
import { createUpkeepStore } from '../postgres/upkeep-store.ts';
import { LIMITS } from '../world/limits.ts';
import { AuditSealer } from './audit-sealer.ts';
import { verifyAudit } from './verify-audit.ts';

/** Seals are of all tenants. */
let database: OwnDatabase;
beforeAll(async () => {
  database = await openOwnDatabase();
});
afterAll(() => database?.close());

const LIMIT = 10;

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.superuserUrl });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

const seal = (limit = LIMIT) => createSealStore(database.postgres).sealAudit(limit);

/** Seals until nothing is left. @returns the number of rows */
async function sealAll(): Promise<number> {
  await waitForTransactions(database.admin);
  let total = 0;
  for (;;) {
    const { status, rows } = await seal();
    total += rows;
    if (status === 'sealed' && rows < LIMIT) return total;
  }
}

/** The ids in the seals of a tenant, in their order. */
async function listSealed(tenantId: string): Promise<number[]> {
  const { rows } = await database.admin.query<{ id: string }>(
    'select unnest(ids) as id from audit_seals where tenant_id = $1 order by number',
    [tenantId],
  );
  return rows.map(({ id }) => Number(id));
}

const verify = (tenantId: string) => verifyAudit(createVerifyStore(database.postgres), { tenantId });

it('[Q1] seals each row once, and the seals of a tenant are a chain', async () => {
  const [a, b] = [uniqueName('a'), uniqueName('b')];
  const ids = await addAuditRows(database.admin, a, { count: 12 });
  const others = await addAuditRows(database.admin, b, { count: 3 });
  await waitForTransactions(database.admin);
  expect(await seal()).toEqual({ status: 'sealed', rows: 10, seals: 1, waitingSeconds: null });
  expect(await seal()).toEqual({ status: 'sealed', rows: 5, seals: 2, waitingSeconds: null });
  expect(await seal()).toEqual({ status: 'sealed', rows: 0, seals: 0, waitingSeconds: null });
  expect([await listSealed(a), await listSealed(b)]).toEqual([ids, others]);
  const { rows } = await database.admin.query(
    `SELECT number::int, previous = coalesce(lag(hash) over (order by number), '') as follows, hash = audit_seal_hash(s) as matches,
      (select array_agg(audit_hash(e) order by audit_id) from audit_entries e where audit_id = any (s.ids)) = hashes as holds
    from audit_seals s where tenant_id = $1 order by number`,
    [a],
  );
  const good = { follows: true, matches: true, holds: true };
  expect(rows).toEqual([
    { number: 1, ...good },
    { number: 2, ...good },
  ]);
});

it('[Q1a] waits for the end of every older transaction, and reports the wait', async () => {
  const tenantId = uniqueName('t');
  const older = await connect();
  await older.query('begin');
  const [first] = await addAuditRows(older, tenantId);
  const [second] = await addAuditRows(database.admin, tenantId);
  const waiting = await seal();
  expect(waiting).toMatchObject({ status: 'sealed', rows: 0 });
  expect(waiting.waitingSeconds).toBeGreaterThanOrEqual(0);
  const report = await verify(tenantId);
  expect(report).toMatchObject({ intact: true, tenants: [{ unsealed: { rows: 1 } }] });
  await older.query('commit');
  expect(await sealAll()).toBe(2);
  expect(await listSealed(tenantId)).toEqual([first, second]);
});

it('[Q1a] seals every committed row once, while writers commit and roll back', async () => {
  const tenantId = uniqueName('t');
  const committed: number[] = [];
  const writers = await Promise.all([connect(), connect(), connect()]);
  let running = writers.length;
  const write = async (client: pg.Client, index: number) => {
    for (let i = 0; i < 40; i++) {
      await client.query('begin');
      const ids = await addAuditRows(client, tenantId, { count: 1 + (i % 3) });
      const commits = (i + index) % 4 !== 0;
      await client.query(commits ? 'commit' : 'rollback');
      if (commits) committed.push(...ids);
    }
    running--;
  };
  const sealing = async () => {
    while (running > 0) await seal();
    await sealAll();
  };
  await Promise.all([...writers.map(write), sealing()]);
  expect((await listSealed(tenantId)).toSorted((a, b) => a - b)).toEqual(committed.toSorted((a, b) => a - b));
  expect(await verify(tenantId)).toMatchObject({ intact: true, tenants: [{ rows: committed.length }] });
});

it('[Q1b] one process seals at a time, and a second one returns', async () => {
  const other = await connect();
  await other.query('begin');
  await other.query('select from audit_state for update');
  expect(await seal()).toMatchObject({ status: 'busy', rows: 0 });
  await other.query('rollback');
  expect(await seal()).toMatchObject({ status: 'sealed' });
});

it('[Q1c] a run goes on until all is sealed or its time is over, and warns of rows that wait too long', async () => {
  let nowMs = 0;
  const waits: number[] = [];
  const full = { status: 'sealed', rows: LIMITS.auditSealRows, seals: 2, waitingSeconds: null } as const;
  const answers = [full, { ...full, status: 'moved', rows: 0, seals: 0 } as const, full];
  const last = {
    status: 'sealed',
    rows: 1,
    seals: 1,
    waitingSeconds: LIMITS.auditUnsealedSecondsMax + 1,
  } as const;
  const sealer = new AuditSealer(
    { sealAudit: async () => answers.shift() ?? last },
    { now: () => nowMs++, onWaiting: (seconds) => waits.push(seconds) },
  );
  expect(await sealer.run({ budgetMs: 2 })).toMatchObject({
    status: 'continues',
    counts: { rows: LIMITS.auditSealRows, seals: 2 },
  });
  expect(waits).toEqual([]);
  expect(await sealer.run({ budgetMs: 1_000 })).toMatchObject({
    status: 'done',
    counts: { rows: LIMITS.auditSealRows + 1, seals: 3 },
  });
  expect(waits).toEqual([last.waitingSeconds]);
});

it('[Q1d] a seal holds rows of one day, also if they come late', async () => {
  const tenantId = uniqueName('t');
  await addAuditRows(database.admin, tenantId, { count: 2, day: '2026-01-02' });
  await sealAll();
  await addAuditRows(database.admin, tenantId, { count: 1, day: '2026-01-01' });
  await addAuditRows(database.admin, tenantId, { count: 1, day: '2026-01-02' });
  await sealAll();
  const { rows } = await database.admin.query(
    `select number::int, day::text, previous_day::text as before, cardinality(ids) as rows from audit_seals where tenant_id = $1
    order by number`,
    [tenantId],
  );
  expect(rows).toEqual([
    { number: 1, day: '2026-01-02', before: null, rows: 2 },
    { number: 2, day: '2026-01-01', before: '2026-01-02', rows: 1 },
    { number: 3, day: '2026-01-02', before: '2026-01-01', rows: 1 },
  ]);
  expect(await verify(tenantId)).toMatchObject({ intact: true });
});

it('[Q2] goes on after a move to another cluster, and seals each row once', async () => {
  const tenantId = uniqueName('t');
  const sealed = await addAuditRows(database.admin, tenantId, { count: 3 });
  await sealAll();
  // The old cluster had other numbers: it sealed up to a high one, and left rows above that.
  const left = await addAuditRows(database.admin, tenantId, { count: 12, xid: 4_000_000_000 });
  await database.admin.query('update audit_state set sealed_xid = 3999999999, sealed_id = 0');
  // Written in this cluster before the job runs for the first time.
  const added = await addAuditRows(database.admin, tenantId, { count: 4 });
  expect(await verify(tenantId)).toMatchObject({ intact: true, tenants: [{ unsealed: { rows: 16 } }] });
  expect(await seal()).toMatchObject({ status: 'moved', rows: 0 });
  const later = await addAuditRows(database.admin, tenantId, { count: 2 });
  expect(await verify(tenantId)).toMatchObject({ intact: true, tenants: [{ unsealed: { rows: 18 } }] });
  expect(await seal()).toMatchObject({ status: 'sealed', rows: 10 });
  expect(await verify(tenantId)).toMatchObject({ intact: true, tenants: [{ unsealed: { rows: 8 } }] });
  // A useless limit does not begin the move again.
  expect(await seal(0)).toMatchObject({ status: 'sealed', rows: 1 });
  // Restored a second time, in the middle of the first move.
  await database.admin.query('update audit_state set sealed_xid = sealed_xid');
  expect(await seal()).toMatchObject({ status: 'moved', rows: 0 });
  expect(await verify(tenantId)).toMatchObject({ intact: true, tenants: [{ unsealed: { rows: 7 } }] });
  expect(await seal()).toMatchObject({ status: 'moved', rows: 7 });
  const last = await addAuditRows(database.admin, tenantId, { count: 2 });
  expect(await sealAll()).toBe(2);
  const all = [...sealed, ...left, ...added, ...later, ...last];
  expect((await listSealed(tenantId)).toSorted((a, b) => a - b)).toEqual(all.toSorted((a, b) => a - b));
  expect(await verify(tenantId)).toMatchObject({ intact: true, tenants: [{ rows: all.length }] });
});

it('[Q2a] a move waits for writers for a moment only', async () => {
  const writer = await connect();
  await writer.query('begin');
  await addAuditRows(writer, uniqueName('t'));
  await database.admin.query('update audit_state set sealed_xid = sealed_xid');
  expect(await seal()).toMatchObject({ status: 'busy' });
  await writer.query('commit');
  expect(await seal()).toMatchObject({ status: 'moved' });
  await sealAll();
});

it('[Q3] the runtime role reads the seals of its tenant, and changes none', async () => {
  const tenantId = uniqueName('t');
  await addAuditRows(database.admin, tenantId);
  await sealAll();
  const app = new pg.Client({ connectionString: database.url });
  await app.connect();
  onTestFinished(() => app.end());
  const count = async (tenant: string) => {
    await app.query(`select set_config('app.tenant_id', $1, false)`, [tenant]);
    return (await app.query('select from audit_seals')).rowCount;
  };
  expect([await count(uniqueName('other')), await count(tenantId)]).toEqual([0, 1]);
  for (const statement of [
    `update audit_seals set hash = ''`,
    'delete from audit_seals',
    `insert into audit_seals select * from audit_seals`,
    'select from audit_state',
    'update audit_state set sealed_xid = 0',
    `update audit_entries set action = 'x'`,
    'delete from audit_entries',
    `select add_audit_seal('${tenantId}', '2026-01-01', '{}', '{}')`,
    'truncate audit_seals',
  ])
    await expect(app.query(statement), statement).rejects.toMatchObject({ code: '42501' });
});

it('[Q4] seals go with their days, from the beginning of a chain, and the newest stays', async () => {
  const { admin, postgres } = database;
  const [tenantId, idle] = [uniqueName('t'), uniqueName('t')];
  const days = ['2025-01-01', '2025-01-02', '2025-01-01', '2025-01-03'];
  for (const day of days) {
    await addAuditRows(admin, tenantId, { day });
    await sealAll();
  }
  await addAuditRows(admin, idle, { day: '2025-01-01', count: 15 });
  await sealAll();
  const { cleanAuditSeals } = createUpkeepStore(postgres);
  const clean = async () => {
    let total = 0;
    for (let from: string | null = ''; from !== null; ) {
      const { removed, next } = await cleanAuditSeals(from, 1);
      total += removed;
      from = next;
    }
    return total;
  };
  const numbers = async (tenant: string) => {
    const { rows } = await admin.query(
      'select number::int from audit_seals where tenant_id = $1 order by 1',
      [tenant],
    );
    return rows.map(({ number }) => number);
  };
  expect(await clean()).toBe(0);
  await admin.query('drop table day_partitions.audit_entries_20250101');
  // The seals have not gone yet.
  expect(await verify(tenantId)).toMatchObject({ intact: true, tenants: [{ rows: 2, expired: 2 }] });
  expect(await clean()).toBe(2);
  // The late seal of the first day stays between seals of later days.
  expect([await numbers(tenantId), await numbers(idle)]).toEqual([[2, 3, 4], [2]]);
  expect(await verify(tenantId)).toMatchObject({ intact: true, tenants: [{ rows: 2, expired: 1 }] });
  expect(await verify(idle)).toMatchObject({ intact: true, tenants: [{ rows: 0, expired: 5 }] });
  await addAuditRows(admin, idle, { day: '2025-01-03' });
  await sealAll();
  expect(await clean()).toBe(1);
  expect(await verify(idle)).toMatchObject({ intact: true, tenants: [{ rows: 1, head: { number: 3 } }] });
});
