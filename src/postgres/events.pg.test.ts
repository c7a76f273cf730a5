import { sql } from 'drizzle-orm';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { readEvents as readRows } from '../../test/event-rows.ts';
import { makeWorld } from '../../test/layers.ts';
import { makeInput, makeLogSpace } from '../../test/log-space.ts';
import { stack, uniqueName } from '../../test/support.ts';
import { createDrainStore } from './drain-store.ts';
import { openNeon } from './neon.ts';
import { createSessionStore } from './session-store.ts';

const { databaseUrl, databaseHttpUrl, migrationUrl } = stack();
const postgres = openNeon({ databaseUrl, fetchEndpoint: databaseHttpUrl, timeoutMs: 10_000 });

async function store(log: string | null, from: number, to: number, entries: object[]): Promise<object> {
  const [[row]] = await postgres.inTenant('', (db) => [
    db
      .select({
        status: sql<string>`status`,
        stored: sql<number | null>`stored`,
        refused: sql<number | null>`refused`,
        atCursor: sql<string | null>`at_cursor`,
      })
      .from(sql`store_events(${log}, ${from}::bigint, ${to}::bigint, ${JSON.stringify(entries)}::json)`),
  ]);
  return row ?? {};
}

function readEvents(tenantId: string): Promise<[{ id: string }[], { sessions: number; seconds: number }[]]> {
  return postgres.inTenant(tenantId, (db) => [
    db.select({ id: sql<string>`event_id` }).from(sql`events order by event_id`),
    db
      .select({ sessions: sql<number>`sessions`, seconds: sql<number>`seconds::integer` })
      .from(sql`person_days`),
  ]);
}

it('events of a log are stored once, and one that cannot be stored does not stop the others', async () => {
  const tenant = uniqueName('tenant');
  const log = uniqueName('log');
  const at = '2026-11-01T10:00:00Z';
  const end = { type: 'session.end', space: 'main', user: 'ann', at };
  const entries = [
    {
      tenant,
      created: at,
      events: [
        { id: 'a', type: 'session.start', space: 'main', user: 'ann', at },
        { ...end, id: 'b', data: { seconds: 90 } },
        { id: 'c', type: 'odd', at: 'yesterday evening' },
      ],
    },
    {
      tenant,
      created: at,
      events: [
        { ...end, id: 'd', data: { seconds: 'many' } },
        { ...end, id: 'e', data: { seconds: 1e300 } },
      ],
    },
  ];
  expect(await store(log, 0, 7, entries)).toEqual({
    status: 'stored',
    stored: 4,
    refused: 1,
    atCursor: null,
  });
  expect(await store(log, 0, 7, entries)).toMatchObject({ status: 'moved', atCursor: '7' });
  const ids = ['a', 'b', 'd', 'e'].map((id) => ({ id }));
  expect(await readEvents(tenant)).toEqual([ids, [{ sessions: 1, seconds: 86_490 }]]);
  expect(await readEvents(uniqueName('tenant'))).toEqual([[], []]);
});

it('no role reads the events of another tenant in the partition of a day', async () => {
  const tenant = uniqueName('tenant');
  const day = '2026-10-07';
  await store(null, 0, 0, [{ tenant, created: day, events: [{ id: 'a', type: 'x', at: day }] }]);
  const owner = new pg.Client({ connectionString: migrationUrl });
  await owner.connect();
  onTestFinished(() => owner.end());
  const { rows } = await owner.query(`
    select c.relrowsecurity and c.relforcerowsecurity as forced,
      has_schema_privilege('worldkeep_app', 'day_partitions', 'USAGE') as "isOpen",
      array(select p.polname::text from pg_policy p where p.polrelid = c.oid order by 1) as policies
    from pg_class c where c.relname = 'events_20261007'`);
  expect(rows).toEqual([
    { forced: true, isOpen: false, policies: ['jobs_across_tenants', 'tenant_isolation'] },
  ]);
});

it('[E5c] a session that expired without an end ends at its last heartbeat, with one event', async () => {
  const { layer, tenantId } = await makeWorld(postgres);
  await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
  const sessions = createSessionStore(postgres);
  const mint = (id: string, expiresAt: string) =>
    sessions.mintSession({
      ...{ tenantId, id, spaceId: 'main', userId: 'ann', role: null },
      ...{ createdAt: '2026-11-01T10:00:00Z', expiresAt },
    });
  const long = '2100-01-01T00:00:00Z';
  for (const id of ['silent', 'seen']) await mint(id, '2026-11-01T11:00:00Z');
  for (const id of ['open', 'ended']) await mint(id, long);
  await sessions.touchSession(tenantId, 'seen', '2026-11-01T10:01:30Z');
  expect(await sessions.endSession(tenantId, 'ended', '2026-11-01T10:02:00Z')).toMatchObject({
    seconds: 120,
  });
  expect(await sessions.endSession(tenantId, 'ended', '2026-11-01T10:03:00Z')).toMatchObject({
    seconds: null,
  });
  const end = async (limit: number, writes = true) => {
    const [[row]] = await postgres.inTenant('', (db) => [
      db
        .select({ count: sql<number>`n` })
        .from(sql`end_expired_sessions(${limit}::integer, ${writes}::boolean) as n`),
    ]);
    return row?.count;
  };
  expect(await end(1)).toBe(1);
  // Other tests have sessions that expired too.
  while ((await end(1_000)) !== 0);
  const rows = await readRows(postgres, tenantId);
  expect(rows.map(({ type, userId, spaceId, at, data }) => ({ type, userId, spaceId, at, data }))).toEqual(
    expect.arrayContaining([
      {
        ...{ type: 'session.end', userId: 'ann', spaceId: 'main', at: '2026-11-01T10:00:00.001Z' },
        data: { sessionId: 'silent', seconds: 0 },
      },
      {
        ...{ type: 'session.end', userId: 'ann', spaceId: 'main', at: '2026-11-01T10:01:30.000Z' },
        data: { sessionId: 'seen', seconds: 90 },
      },
    ]),
  );
  expect(rows).toHaveLength(2);
  await mint('unseen', '2026-11-01T11:00:00Z');
  expect(await end(1_000, false)).toBeGreaterThanOrEqual(1);
  expect(await readRows(postgres, tenantId)).toHaveLength(2);
});

it('[E7] a batch adds its changes and messages to the day of its last entry, once', async () => {
  const space = await makeLogSpace(postgres);
  const seq = (time: string) => Date.parse(time) * 1_000;
  const days = async () => {
    const [rows] = await postgres.inTenant(space.address.tenantId, (db) => [
      db
        .select({
          day: sql<string>`day::text`,
          changes: sql<number>`changes::integer`,
          messages: sql<number>`messages::integer`,
        })
        .from(sql`space_days order by day`),
    ]);
    return rows;
  };
  const put = (id: string, at: number) => ({
    kind: 'put' as const,
    ...{ id, seq: at, actor: null, object: makeInput(id), createdSeq: at, createdBy: null, isNew: false },
  });
  const to = seq('2100-01-01T23:59:59.999Z');
  const batch = space.toBatch({ to, objects: [put('a', to)], counts: { changes: 5, posted: 2 } });
  const store = createDrainStore(postgres);
  for (const status of ['applied', 'moved'])
    expect((await store.applyBatch(space.address, batch)).status).toBe(status);
  space.cursor = to;
  await space.apply({ to: to + 500, counts: { changes: 1, posted: 0 } });
  await space.apply({ to: to + 600, counts: { changes: 0, posted: 0 } });
  await space.apply({ to: to + 1_000, counts: { changes: 0, posted: 1 } });
  expect(await days()).toEqual([
    { day: '2100-01-01', changes: 6, messages: 2 },
    { day: '2100-01-02', changes: 0, messages: 1 },
  ]);
});
