import { sql } from 'drizzle-orm';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { stack, uniqueName } from '../../test/support.ts';
import { openNeon } from './neon.ts';

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
      has_schema_privilege('worldkeep_app', 'event_days', 'USAGE') as "isOpen",
      array(select p.polname::text from pg_policy p where p.polrelid = c.oid order by 1) as policies
    from pg_class c where c.relname = 'events_20261007'`);
  expect(rows).toEqual([
    { forced: true, isOpen: false, policies: ['jobs_across_tenants', 'tenant_isolation'] },
  ]);
});
