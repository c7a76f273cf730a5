import { sql } from 'drizzle-orm';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DATABASES, makeWorld, openTestNeon, openTestPg } from '../../test/layers.ts';
import { stack, uniqueName } from '../../test/support.ts';
import { Analytics } from '../analytics/analytics.ts';
import { type ReportName, VIEWS } from '../analytics/reports.ts';
import { createAnalyticsStore } from './analytics-store.ts';
import type { Postgres } from './client.ts';
import { openPg } from './pg.ts';

const DAY_MS = 86_400_000;
const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
/** The day so many days after today. */
const day = (days: number) => new Date(today + days * DAY_MS).toISOString().slice(0, 10);
const at = (days: number, time: string) => `${day(days)}T${time}:00Z`;

interface Given {
  type: string;
  user?: string;
  space?: string;
  at: string;
  data?: object;
}
const session = (user: string, space: string, start: string, end: string | null, seconds = 0): Given[] => [
  { type: 'session.start', user, space, at: start },
  ...(end === null ? [] : [{ type: 'session.end', user, space, at: end, data: { seconds } }]),
];

async function storeEvents(postgres: Postgres, tenant: string, events: Given[]): Promise<void> {
  const text = JSON.stringify([
    { tenant, events: events.map((event) => ({ id: uniqueName('e'), ...event })) },
  ]);
  const [[row]] = await postgres.inTenant('', (db) => [
    db
      .select({ refused: sql<number>`refused` })
      .from(sql`store_events(null, 0::bigint, 0::bigint, ${text}::json)`),
  ]);
  expect(row?.refused).toBe(0);
}

/** Waits for a refresh by another test, and refreshes again. */
async function refreshAll(postgres: Postgres): Promise<void> {
  const store = createAnalyticsStore(postgres, postgres);
  for (const view of VIEWS) await expect.poll(() => store.refreshView(view), { timeout: 20_000 }).toBe(true);
}

const open = (postgres: Postgres) =>
  new Analytics(createAnalyticsStore(postgres, postgres), { now: Date.now });

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

describe.each(Object.entries(DATABASES))('analytics, %s', (_, openPostgres) => {
  const postgres = openPostgres();
  const analytics = open(postgres);

  it('[N2a] count people, sessions, minutes, changes and messages of each day and space', async () => {
    const { tenantId, layer } = await makeWorld(postgres);
    await layer.putSpace('hall', { name: 'Hall' });
    await layer.saveObject({ id: 'lamp' }, { spaceId: 'hall' });
    await layer.saveObject({ id: 'desk' }, { spaceId: 'hall' });
    await storeEvents(postgres, tenantId, [
      ...session('ann', 'main', at(-2, '10:00'), at(-2, '10:30'), 1_800),
      ...session('ann', 'main', at(-2, '11:00'), at(-2, '11:01'), 60),
      ...session('bob', 'main', at(-2, '10:10'), at(-2, '10:12'), 93),
      ...session('ann', 'hall', at(-1, '09:00'), at(-1, '09:10'), 600),
      ...session('ann', 'main', at(-1, '12:00'), at(-1, '12:01'), 60),
      { type: 'user.spawn', user: 'cid', at: at(-1, '08:00') },
      // It names a person, and is no visit.
      { type: 'app.installed', user: 'dan', at: at(-1, '08:00') },
    ]);
    await postgres.inTenant(tenantId, (db) => [
      db.execute(sql`insert into space_days (tenant_id, space_id, day, changes, messages) values
        (${tenantId}, 'main', ${day(-2)}::date, 700, 3), (${tenantId}, 'hall', ${day(-2)}::date, 5, 0),
        (${tenantId}, 'gone', ${day(-40)}::date, 9, 9)
        on conflict (tenant_id, space_id, day) do update set changes = excluded.changes, messages = excluded.messages`),
      // Only what this test counts.
      db.execute(sql`delete from space_days where day = ${day(0)}::date`),
    ]);
    await refreshAll(postgres);
    const activity = await analytics.read(tenantId, 'activity');
    const none = { people: 0, sessions: 0, minutes: 0, changes: 0, messages: 0, peak: null };
    expect(activity).toMatchObject({ from: day(-29), to: day(0), truncated: false });
    expect(activity.rows).toEqual([
      { ...none, day: day(-2), spaceId: 'hall', changes: 5 },
      {
        ...{ day: day(-2), spaceId: 'main', people: 2, sessions: 3, minutes: 32.6 },
        ...{ changes: 700, messages: 3, peak: 2 },
      },
      { ...none, day: day(-1), spaceId: null, people: 1 },
      { ...none, day: day(-1), spaceId: 'hall', people: 1, sessions: 1, minutes: 10, peak: 1 },
      { ...none, day: day(-1), spaceId: 'main', people: 1, sessions: 1, minutes: 1, peak: 1 },
    ]);
    expect(Date.parse(activity.refreshedAt ?? '')).toBeGreaterThan(today - DAY_MS);

    const spaces = await analytics.read(tenantId, 'spaces', { from: day(-2), to: day(-1) });
    const changedAt = expect.stringMatching(/^\d{4}-.*Z$/);
    expect(spaces.rows).toEqual([
      {
        ...{ spaceId: 'main', name: 'main', people: 2, sessions: 4, minutes: 33.6 },
        ...{ changes: 700, messages: 3, peak: 2, objects: 0, lastChangeAt: changedAt },
      },
      {
        ...{ spaceId: 'hall', name: 'Hall', people: 1, sessions: 1, minutes: 10 },
        ...{ changes: 5, messages: 0, peak: 1, objects: 2, lastChangeAt: changedAt },
      },
      { ...none, spaceId: null, name: null, people: 1, objects: null, lastChangeAt: null },
    ]);
    const earlier = await analytics.read(tenantId, 'spaces', { from: day(-40), to: day(-40) });
    const gone = { ...none, spaceId: 'gone', name: null, changes: 9, messages: 9 };
    expect(earlier.rows[0]).toEqual({ ...gone, objects: null, lastChangeAt: null });
    expect(earlier.rows.slice(1).map(({ spaceId, people }) => [spaceId, people])).toEqual([
      ['hall', 0],
      ['main', 0],
    ]);
  });

  it('[N2c] a peak counts sessions that reach over midnight, and sessions that began before the oldest event', async () => {
    const tenantId = uniqueName('t');
    await storeEvents(postgres, tenantId, [
      ...session('ann', 'night', at(-3, '23:30'), at(-2, '00:30')),
      ...session('bob', 'night', at(-3, '23:50'), at(-2, '00:10')),
      // It begins in the instant in which another ends.
      ...session('cid', 'night', at(-2, '00:10'), at(-2, '00:20')),
      // This one ends at midnight, and is not there on the next day.
      ...session('dan', 'dusk', at(-3, '20:00'), at(-2, '00:00')),
      { type: 'session.end', user: 'eve', space: 'old', at: at(-2, '12:00'), data: { seconds: 60 } },
      ...session('fay', 'old', at(-2, '13:00'), null),
    ]);
    await refreshAll(postgres);
    const { rows } = await analytics.read(tenantId, 'activity', { from: day(-3), to: day(0) });
    const peaks = rows.map(({ day, spaceId, peak }) => [spaceId, day, peak]);
    const of = (space: string) => peaks.filter(([spaceId]) => spaceId === space).map(([, ...rest]) => rest);
    expect(of('night')).toEqual([
      [day(-3), 2],
      [day(-2), 2],
    ]);
    expect(of('dusk')).toEqual([
      [day(-3), 1],
      // A session ended then, so there is a row.
      [day(-2), null],
    ]);
    expect(of('old')).toEqual([
      [day(-2), 1],
      [day(-1), 1],
      [day(0), 1],
    ]);
  });

  it('[N2d] a person is retained on exactly the day 1, 7 or 30, and a day that is not over is null', async () => {
    const tenantId = uniqueName('t');
    const visits: [string, number[]][] = [
      // Two spaces on the first day count once.
      ['ann', [-10, -9, -3]],
      ['bob', [-10, -8]],
      ['cid', [-10, -3]],
      ['dan', [-31, -1]],
      ['eve', [-30, 0]],
      ['fay', [-1, 0]],
      ['gil', [-2, -1]],
    ];
    await storeEvents(postgres, tenantId, [
      ...visits.flatMap(([user, days]) =>
        days.map((n) => ({ type: 'user.spawn', user, space: 'main', at: at(n, '10:00') })),
      ),
      { type: 'user.spawn', user: 'ann', space: 'hall', at: at(-10, '11:00') },
    ]);
    await refreshAll(postgres);
    const { rows } = await analytics.read(tenantId, 'retention', { from: day(-60) });
    expect(rows).toEqual([
      { day: day(-31), people: 1, day1: 0, day7: 0, day30: 1 },
      { day: day(-30), people: 1, day1: 0, day7: 0, day30: null },
      { day: day(-10), people: 3, day1: 1, day7: 2, day30: null },
      { day: day(-2), people: 1, day1: 1, day7: null, day30: null },
      { day: day(-1), people: 1, day1: null, day7: null, day30: null },
    ]);
  });

  it('[N2e] models count the objects that use them now, by the day on which the object was created', async () => {
    const { tenantId, layer } = await makeWorld(postgres);
    await layer.putSpace('hall', { name: 'Hall' });
    const models = [{ id: 'chair', name: 'Chair', url: 'https://models.example/chair.glb' }];
    const longAgo = at(-50, '10:00');
    await layer.saveWorldState({
      objects: [
        ...['a', 'b'].map((id) => ({ id, modelId: 'chair' })),
        { id: 'c', modelId: 'lost' },
        { id: 'd' },
        { id: 'e', modelId: 'chair', createdAt: longAgo },
      ],
      models,
    });
    await layer.saveObject({ id: 'a', modelId: 'chair' }, { spaceId: 'hall' });
    await layer.saveObject({ id: 'b', modelId: 'chair' }, { spaceId: 'hall' });
    await layer.deleteObject('b', { spaceId: 'hall' });
    await refreshAll(postgres);
    const read = async (span: object) => (await analytics.read(tenantId, 'models', span)).rows;
    expect(await read({})).toEqual([
      { modelId: 'chair', name: 'Chair', objects: 3, spaces: 2 },
      { modelId: 'lost', name: null, objects: 1, spaces: 1 },
    ]);
    expect(await read({ from: day(-50), to: day(-50) })).toEqual([
      { modelId: 'chair', name: 'Chair', objects: 1, spaces: 1 },
    ]);
    await layer.deleteSpace('hall');
    await refreshAll(postgres);
    expect(await read({})).toMatchObject([{ modelId: 'chair', objects: 2, spaces: 1 }, { modelId: 'lost' }]);
  });

  it('[N1a] a report has no row of another tenant, and none without a tenant', async () => {
    const { tenantId, layer } = await makeWorld(postgres);
    await layer.saveObject({ id: 'a', modelId: 'chair' });
    await storeEvents(postgres, tenantId, session('ann', 'main', at(-2, '10:00'), at(-2, '10:01'), 60));
    await refreshAll(postgres);
    for (const name of ['activity', 'spaces', 'models', 'retention'] as const satisfies ReportName[]) {
      expect((await analytics.read(tenantId, name)).rows.length).toBeGreaterThan(0);
      expect((await analytics.read(uniqueName('t'), name)).rows).toEqual([]);
      expect((await analytics.read('', name)).rows).toEqual([]);
    }
  });
});

describe('the views of analytics', () => {
  const postgres = openTestNeon();

  it('[N1a] belong to worldkeep_jobs, and no other role may read them', async () => {
    const owner = await connect(stack().migrationUrl);
    const { rows } = await owner.query(`
      select c.relname as name, pg_get_userbyid(c.relowner) as owner,
        (select string_agg(pg_get_indexdef(i.indexrelid, 1, true), ',') from pg_index i where i.indrelid = c.oid and i.indisunique) as "first",
        array(select r.rolname::text from pg_roles r where not r.rolsuper and r.rolname <> 'pg_read_all_data'
          and has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
          and not pg_has_role(r.oid, 'pg_read_all_data', 'USAGE') and not pg_has_role(r.oid, 'pg_write_all_data', 'USAGE')) as readers
      from pg_class c where c.relkind = 'm' order by 1`);
    expect(rows).toEqual(
      VIEWS.toSorted().map((name) => ({
        ...{ name, owner: 'worldkeep_jobs', first: 'tenant_id', readers: ['worldkeep_jobs'] },
      })),
    );
    const app = await connect(stack().databaseUrl);
    for (const view of VIEWS)
      await expect(app.query(`select from ${view}`)).rejects.toThrow(`permission denied for`);
  });

  it('[N1b] hold no id of a person', async () => {
    const owner = await connect(stack().migrationUrl);
    const { rows } = await owner.query<{ name: string }>(`
      select distinct a.attname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
      where c.relkind = 'm' and a.attnum > 0 and a.attname ~ '_id$' order by 1`);
    expect(rows.map(({ name }) => name)).toEqual(['model_id', 'space_id', 'tenant_id']);
  });

  it('[N1c] are read while they are refreshed, and every reader sees all rows or the earlier ones', async () => {
    const tenantId = uniqueName('t');
    const tcp = openTestPg();
    onTestFinished(() => tcp.close());
    const analytics = open(tcp);
    const count = async () => (await analytics.read(tenantId, 'retention')).rows[0]?.people ?? 0;
    const spawn = (user: string) => ({ type: 'user.spawn', user, space: 'main', at: at(-5, '10:00') });
    await storeEvents(postgres, tenantId, [spawn('ann')]);
    await refreshAll(postgres);
    await storeEvents(postgres, tenantId, [spawn('bob'), spawn('cid')]);
    const app = await connect(stack().databaseUrl);
    await expect
      .poll(async () => {
        await app.query('begin');
        const { rows } = await app.query<{ ok: boolean }>("select refresh_view('retention') as ok");
        if (rows[0]?.ok !== true) await app.query('rollback');
        return rows[0]?.ok;
      })
      .toBe(true);
    // The refresh has done all its work, and holds its locks.
    expect(await count()).toBe(1);
    await app.query('commit');
    expect(await count()).toBe(3);
  });

  it('[N1d] are refreshed once at a time: a second refresh does not wait', async () => {
    const app = await connect(stack().databaseUrl);
    const store = createAnalyticsStore(postgres, postgres);
    await expect
      .poll(async () => {
        await app.query('begin');
        const { rows } = await app.query<{ ok: boolean }>("select refresh_view('peak_presence') as ok");
        if (rows[0]?.ok !== true) await app.query('rollback');
        return rows[0]?.ok;
      })
      .toBe(true);
    try {
      expect(await store.refreshView('peak_presence')).toBe(false);
      expect(await open(postgres).refreshViews()).not.toHaveProperty('peak_presence');
    } finally {
      await app.query('commit');
    }
    await expect.poll(() => store.refreshView('peak_presence')).toBe(true);
  });

  it('[N1e] are all refreshed if one of them fails, and then the refresh fails', async () => {
    const store = createAnalyticsStore(postgres, postgres);
    const asked: string[] = [];
    const analytics = new Analytics(
      {
        ...store,
        async refreshView(view) {
          asked.push(view);
          if (view === VIEWS[1]) throw new Error('it failed');
          return true;
        },
      },
      { now: Date.now },
    );
    await expect(analytics.refreshViews()).rejects.toThrow('it failed');
    expect(asked).toEqual([...VIEWS]);
    const away = openPg({ databaseUrl: 'postgresql://a:b@127.0.0.1:9/c', poolSizeMax: 1, timeoutMs: 5_000 });
    onTestFinished(() => away.close());
    // Nothing waits for a refresh then.
    const refreshView = () => expect.unreachable();
    const stopped = new Analytics({ ...createAnalyticsStore(away, away), refreshView }, { now: Date.now });
    await expect(stopped.refreshViews()).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  it('have no other names', async () => {
    await expect(
      postgres.inTenant('', (db) => [db.execute(sql`select refresh_view('events')`)]),
    ).rejects.toMatchObject({ code: expect.any(String) });
  });

  it('[N1f] are refreshed by the statement of an operator, as worldkeep_jobs', async () => {
    const tenantId = uniqueName('t');
    await storeEvents(postgres, tenantId, session('ann', 'main', at(-2, '10:00'), null));
    const owner = await connect(stack().migrationUrl);
    await expect(owner.query('SELECT refresh_all_materialized_views()')).rejects.toThrow('permission denied');
    await owner.query('SET ROLE worldkeep_jobs');
    await expect
      .poll(async () => {
        const { rows } = await owner.query('SELECT refresh_all_materialized_views();');
        return rows[0];
      })
      .toEqual({ refresh_all_materialized_views: true });
    expect((await open(postgres).read(tenantId, 'activity')).rows).toHaveLength(3);
    await owner.query('REFRESH MATERIALIZED VIEW CONCURRENTLY retention');
    expect((await open(postgres).read(tenantId, 'retention')).rows).toHaveLength(1);
  });
});
