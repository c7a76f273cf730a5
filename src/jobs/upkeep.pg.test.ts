import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countLooseWorlds, fillTenant, isOld, listRows, RETENTION } from '../../test/jobs/old-and-new.ts';
import { openLayer } from '../../test/layers.ts';
import { type OwnDatabase, openOwnDatabase } from '../../test/own-database.ts';
import { uniqueName } from '../../test/support.ts';
import { createUpkeepStore } from '../postgres/upkeep-store.ts';
import { LIMITS } from '../world/limits.ts';
import { Upkeep, type UpkeepOptions } from './upkeep.ts';
import type { UpkeepStore } from './upkeep-stores.ts';

const DAY_MS = 86_400_000;
const BUDGET = { budgetMs: 60_000 };
/** Of a cleanup: each gets one batch in the first round. */
const STEPS = 19;
let database: OwnDatabase;
beforeAll(async () => {
  database = await openOwnDatabase();
});
afterAll(() => database?.close());

function open(changes: Partial<UpkeepOptions> = {}, store: Partial<UpkeepStore> = {}) {
  const failures: [string, unknown][] = [];
  const upkeep = new Upkeep(
    { ...createUpkeepStore(database.postgres), ...store },
    {
      now: Date.now,
      retention: RETENTION,
      forgetSpace: null,
      sweepObjects: async () => 0,
      onFailure: (step, cause) => void failures.push([step, cause]),
      ...changes,
    },
  );
  return { upkeep, failures };
}

/** A space with so many messages, which was deleted so many days ago. */
async function makeDeletedSpace(days: number, messages = 0) {
  const tenantId = uniqueName('t');
  const spaceId = 'doomed';
  const layer = openLayer(database.postgres, { tenantId, spaceId, actor: 'tester' });
  await layer.connect();
  await layer.saveObject({ id: 'a' });
  await database.admin.query(
    `insert into chat_messages (tenant_id, space_id, message_id, text, seq, created_at)
    select $1, $2, 'm' || i, 'x', 1, now() from generate_series(1, $3::integer) i`,
    [tenantId, spaceId, messages],
  );
  await layer.deleteSpace(spaceId);
  await database.admin.query(
    `update spaces set deleted_at = now() - make_interval(days => $2) where tenant_id = $1`,
    [tenantId, days],
  );
  const count = async (table: string) => {
    const { rows } = await database.admin.query<{ n: number }>(
      `select count(*)::int as n from ${table} where tenant_id = $1 and space_id = $2`,
      [tenantId, spaceId],
    );
    return rows[0]?.n;
  };
  return { tenantId, spaceId, layer, count };
}

describe('a cleanup', () => {
  it('[U1] removes what is over its time, of all tenants, and nothing else', async () => {
    const { admin, postgres } = database;
    const nowMs = Date.now();
    await fillTenant(postgres, admin, nowMs);
    await fillTenant(postgres, admin, nowMs);
    const before = await listRows(admin);
    const loose = await countLooseWorlds(admin);
    expect(loose).toBeGreaterThan(0);
    const { upkeep, failures } = open({ now: () => nowMs });
    const report = await upkeep.run(BUDGET);
    expect([failures, report.left, report.failed]).toEqual([[], [], []]);
    expect(report.counts).toMatchObject({
      eventDaysAdded: LIMITS.eventDaysAhead + 1,
      eventDaysDropped: 1,
      messages: 2,
      sessions: 2,
      keys: 4,
      results: 2,
      writtenObjects: 2,
      deadLetters: 2,
      incidents: 2,
      personDays: 2,
      spaceDays: 2,
      stages: 2,
      spaces: 2,
      removals: 2,
      jobRuns: 2,
      eventLogs: 2,
    });
    const after = await listRows(admin);
    // A row of `worlds` has no name of its own.
    const isCounted = (row: string) => !row.startsWith('worlds ');
    expect(after.filter(isCounted)).toEqual(before.filter((row) => isCounted(row) && !isOld(row)));
    expect(await countLooseWorlds(admin)).toBe(0);
    const again = await upkeep.run(BUDGET);
    expect([again.counts, again.left]).toEqual([{}, []]);
  });

  it('[U2] goes on in batches, and one long backlog keeps no other waiting', async () => {
    const { admin } = database;
    const rows = 2.5 * LIMITS.cleanupRowsMax;
    const { tenantId } = await makeDeletedSpace(1);
    await admin.query(
      `insert into incidents (tenant_id, incident_id, space_id, kind, detail, created_at)
      select $1, 'i' || i, 'main', 'log_gap', '{}', now() - interval '91 days' from generate_series(1, $2::integer) i`,
      [tenantId, rows],
    );
    await admin.query(
      `insert into person_days (tenant_id, user_id, day, space_id) values ($1, 'u', current_date - 500, '')`,
      [tenantId],
    );
    const batches: number[] = [];
    const store = createUpkeepStore(database.postgres);
    const { upkeep } = open(
      {},
      {
        async cleanRecords(...args) {
          const cleaned = await store.cleanRecords(...args);
          if (args[0] === 'incidents') batches.push(cleaned.removed);
          return cleaned;
        },
      },
    );
    // Enough for one round only.
    const first = await upkeep.run({ ...BUDGET, batchesMax: STEPS });
    expect(first.counts).toMatchObject({ incidents: LIMITS.cleanupRowsMax, personDays: 1 });
    expect(first.left).toContain('incidents');
    const rest = await upkeep.run(BUDGET);
    expect(rest).toMatchObject({ counts: { incidents: 1.5 * LIMITS.cleanupRowsMax }, left: [] });
    expect(batches).toEqual([500, 500, 250]);
  });

  it('[U2a] begins no batch after its time, and names the steps that are left', async () => {
    let nowMs = Date.now();
    const store = createUpkeepStore(database.postgres);
    const { upkeep } = open(
      { now: () => nowMs },
      {
        async addEventDays(...args) {
          const added = await store.addEventDays(...args);
          nowMs += 1_000;
          return added;
        },
      },
    );
    const { left } = await upkeep.run({ budgetMs: 1_000 });
    expect(left).toContain('messages');
    expect(left).not.toContain('eventDaysAdded');
    expect((await upkeep.run({ budgetMs: 1_001 })).left).toEqual([]);
    const stopping = new AbortController();
    stopping.abort();
    expect((await upkeep.run({ ...BUDGET, signal: stopping.signal })).counts).toEqual({});
  });

  it('[U2b] goes on with the other steps after one failed, and reports the first failure', async () => {
    await makeDeletedSpace(8);
    const failure = new Error('away');
    const { upkeep, failures } = open(
      {},
      {
        cleanWorlds: () => Promise.reject(failure),
        cleanJobRuns: () => Promise.reject(new Error('later')),
      },
    );
    const report = await upkeep.run(BUDGET);
    expect(report).toMatchObject({ failed: ['worldRows', 'jobRuns'], left: [], counts: { spaces: 1 } });
    expect(report.failure).toBe(failure);
    expect(failures.map(([step]) => step)).toEqual(['worldRows', 'jobRuns']);
  });
});

describe('days of events', () => {
  const listDays = async () => {
    const { rows } = await database.admin.query<{ name: string; isForced: boolean; policies: number }>(`
      select c.relname as name, c.relrowsecurity and c.relforcerowsecurity as "isForced",
        (select count(*)::int from pg_policy p where p.polrelid = c.oid) as policies
      from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'events'::regclass order by 1`);
    return rows;
  };
  const nameOf = (ms: number) => `events_${new Date(ms).toISOString().slice(0, 10).replaceAll('-', '')}`;

  it('[U3] are there for a week ahead, each with its own row security', async () => {
    const nowMs = Date.parse('2031-03-01T23:59:59Z');
    await open({ now: () => nowMs }).upkeep.run(BUDGET);
    const days = await listDays();
    const wanted = Array.from({ length: 8 }, (_, i) => nameOf(nowMs + i * DAY_MS));
    expect(days.map(({ name }) => name).filter((name) => name >= nameOf(nowMs))).toEqual(wanted);
    expect(days.filter(({ isForced, policies }) => !isForced || policies !== 2)).toEqual([]);
  });

  it('[U3a] stay while a transaction reads them, and go in a later run', async () => {
    const { admin } = database;
    const day = '2001-02-03';
    await admin.query("select add_day('events', $1)", [day]);
    await admin.query('begin');
    try {
      await admin.query('select count(*) from events');
      const { upkeep } = open();
      expect(await upkeep.run(BUDGET)).toMatchObject({ counts: { eventDaysBusy: 1 }, left: [], failed: [] });
      expect((await listDays()).map(({ name }) => name)).toContain('events_20010203');
    } finally {
      await admin.query('commit');
    }
    expect((await open().upkeep.run(BUDGET)).counts).toMatchObject({ eventDaysDropped: 1 });
    expect((await listDays()).map(({ name }) => name)).not.toContain('events_20010203');
  });
});

describe('days of the audit', () => {
  it('[T4i] are added ahead, and go after the time that the database has', async () => {
    const { admin } = database;
    await admin.query(
      "select add_day('audit_entries', current_date - 401), add_day('audit_entries', current_date - 399)",
    );
    const { rows } = await admin.query<{ name: string }>(
      "select format('day_partitions.%I', 'audit_entries_' || to_char(current_date + 7, 'YYYYMMDD')) as name",
    );
    await admin.query(`drop table ${rows[0]?.name}`);
    // Another clock of the caller has no effect on the audit.
    const { upkeep } = open({ now: () => Date.now() + 1_000 * DAY_MS });
    expect((await upkeep.run(BUDGET)).counts).toMatchObject({ auditDaysAdded: 1, auditDaysDropped: 1 });
    const again = await upkeep.run(BUDGET);
    expect([again.counts.auditDaysAdded, again.counts.auditDaysDropped]).toEqual([undefined, undefined]);
  });
});

describe('a space that is deleted for good', () => {
  it('[U4] goes in batches, its own row last', async () => {
    const { count } = await makeDeletedSpace(8, LIMITS.cleanupRowsMax + 10);
    const { upkeep } = open();
    let seen = 0;
    const store = createUpkeepStore(database.postgres);
    const watched = open(
      {},
      {
        async purgeSpace(...args) {
          const outcome = await store.purgeSpace(...args);
          seen++;
          expect(await count('spaces')).toBe(outcome.status === 'continues' ? 1 : 0);
          return outcome;
        },
      },
    );
    expect((await watched.upkeep.run(BUDGET)).counts).toMatchObject({ spaces: 1 });
    expect(seen).toBe(2);
    expect([await count('chat_messages'), await count('worlds')]).toEqual([0, 0]);
    expect((await upkeep.run(BUDGET)).counts).not.toHaveProperty('spaces');
  });

  it('[U4a] keeps the data of a space that was created again, also between two batches', async () => {
    const early = await makeDeletedSpace(8);
    await early.layer.putSpace(early.spaceId, { name: 'Again' });
    await early.layer.saveObject({ id: 'mine' });
    const between = await makeDeletedSpace(8, LIMITS.cleanupRowsMax + 10);
    const store = createUpkeepStore(database.postgres);
    const statuses: string[] = [];
    const { upkeep } = open(
      {},
      {
        async purgeSpace(...args) {
          const outcome = await store.purgeSpace(...args);
          statuses.push(outcome.status);
          if (statuses.length === 1) {
            await between.layer.putSpace(between.spaceId, { name: 'Again' });
            await between.layer.saveObject({ id: 'mine' });
          }
          return outcome;
        },
      },
    );
    const report = await upkeep.run(BUDGET);
    expect([statuses, report.left]).toEqual([['continues', 'kept'], []]);
    for (const { layer } of [early, between]) expect(await layer.getObject('mine')).not.toBeNull();
    // Their earlier worlds go like every world that nothing names.
    await open().upkeep.run(BUDGET);
    expect(await countLooseWorlds(database.admin)).toBe(0);
  });

  it('[U4b] waits while its end is ahead of the clock, so that a later space begins after it', async () => {
    const { tenantId, count } = await makeDeletedSpace(8);
    await database.admin.query('update spaces set log_cursor = 9000000000000000 where tenant_id = $1', [
      tenantId,
    ]);
    const { upkeep } = open();
    expect((await upkeep.run(BUDGET)).left).toEqual([]);
    expect(await count('spaces')).toBe(1);
    await database.admin.query('update spaces set log_cursor = 1 where tenant_id = $1', [tenantId]);
    await upkeep.run(BUDGET);
    expect(await count('spaces')).toBe(0);
  });
});

describe('plans', () => {
  it('[U2] every batch finds its rows by an index', async () => {
    await fillTenant(database.postgres, database.admin, Date.now());
    // A new connection has counted nothing yet.
    const client = new pg.Client({ connectionString: database.superuserUrl });
    await client.connect();
    const seen: string[] = [];
    const kinds = [
      ...['results', 'written', 'dead_letters', 'incidents', 'messages', 'sessions', 'keys', 'stages'],
      ...['person_days', 'space_days'],
    ];
    const calls = [
      ...kinds.map((kind) => `clean_records('${kind}', now(), '', 500)`),
      "clean_removals(1, '', 500)",
      "clean_worlds('', 500)",
      "list_deleted_spaces(now(), '', 500)",
      'clean_job_runs(now(), 500)',
      "purge_space(t.tenant_id, 'old-deleted', s.incarnation, now(), 500)",
    ];
    await client.query('begin');
    try {
      await client.query('set local enable_seqscan = off');
      for (const call of calls) {
        const from = call.startsWith('purge') ? `tenants t join spaces s using (tenant_id), ${call}` : call;
        await client.query(`select from ${from}`);
        const { rows } = await client.query<{ name: string }>(
          "select relname as name from pg_stat_xact_user_tables where seq_scan > 0 and schemaname = 'public'",
        );
        for (const { name } of rows) seen.push(`${name}: ${call}`);
      }
    } finally {
      await client.end();
    }
    expect(seen).toEqual([]);
  });
});

it('[U2] ends at most 100 sessions in one transaction', async () => {
  const limits: number[] = [];
  const { upkeep } = open(
    {},
    {
      endExpiredSessions: async (limit) => {
        limits.push(limit);
        return limits.length === 1 ? limit : 0;
      },
    },
  );
  expect((await upkeep.run({ budgetMs: 60_000 })).counts).toMatchObject({ sessionsEnded: 100 });
  expect(limits).toEqual([100, 100]);
});
