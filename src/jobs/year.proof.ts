import { afterAll, beforeAll, expect, it } from 'vitest';
import { RETENTION } from '../../test/jobs/old-and-new.ts';
import { describeCalls, timeUpkeep } from '../../test/jobs/time-upkeep.ts';
import { openLayer } from '../../test/layers.ts';
import { type OwnDatabase, openOwnDatabase } from '../../test/own-database.ts';
import { uniqueName } from '../../test/support.ts';
import { createUpkeepStore } from '../postgres/upkeep-store.ts';
import { Upkeep } from './upkeep.ts';

const DAY_MS = 86_400_000;
const DAYS = 365;
const EVENTS_PER_DAY = 1_000;
const MESSAGES_PER_DAY = 100;
const OTHERS_PER_DAY = 20;
let database: OwnDatabase;
beforeAll(async () => {
  database = await openOwnDatabase();
});
afterAll(() => database?.close());

/** A year of every kind, as if no cleanup had ever run. */
async function fillYear(tenantId: string, nowMs: number): Promise<void> {
  const { admin } = database;
  const now = new Date(nowMs);
  const run = (sql: string, ...values: unknown[]) => admin.query(sql, values);
  await run(
    `select add_day('events', (($1::timestamptz at time zone 'UTC')::date - d)) from generate_series(0, $2::integer) d`,
    now,
    DAYS,
  );
  const each = `generate_series(0, $2::integer - 1) d, generate_series(1, $3::integer) i`;
  const at = `$1::timestamptz - make_interval(days => d, secs => i)`;
  await run(
    `insert into events (tenant_id, event_id, type, at, created_at) select $4, 'e' || d || '.' || i, 'x', ${at}, ${at} from ${each}`,
    now,
    DAYS,
    EVENTS_PER_DAY,
    tenantId,
  );
  await run(
    `insert into chat_messages (tenant_id, space_id, message_id, text, seq, created_at, deleted_at)
    select $4, 'main', 'm' || d || '.' || i, 'x', 1, ${at}, ${at} from ${each}`,
    now,
    DAYS,
    MESSAGES_PER_DAY,
    tenantId,
  );
  await run(
    `insert into incidents (tenant_id, incident_id, space_id, kind, detail, created_at)
    select $4, 'i' || d || '.' || i, 'main', 'log_gap', '{}', ${at} from ${each}`,
    now,
    DAYS,
    OTHERS_PER_DAY,
    tenantId,
  );
  await run(
    `insert into dead_letters (tenant_id, dead_letter_id, space_id, incarnation, seq, index, kind, target_id, op, created_at)
    select $4, 'l' || d || '.' || i, 'main', 'i', 1, 0, 'object', 'o', '{}', ${at} from ${each}`,
    now,
    DAYS,
    OTHERS_PER_DAY,
    tenantId,
  );
  await run(
    `insert into sessions (tenant_id, session_id, space_id, user_id, role, expires_at, ended_at)
    select $4, 's' || d || '.' || i, 'main', 'ann', 'viewer', ${at}, ${at} from ${each}`,
    now,
    DAYS,
    OTHERS_PER_DAY,
    tenantId,
  );
  await run(
    `insert into person_days (tenant_id, user_id, day, space_id)
    select $4, 'u' || i, ($1::timestamptz at time zone 'UTC')::date - d, 'main' from ${each}`,
    now,
    DAYS,
    OTHERS_PER_DAY,
    tenantId,
  );
  await run(
    `insert into job_runs (run_id, job, started_at) select 'r' || d || '.' || i, 'cleanup', ${at} from ${each}`,
    now,
    DAYS,
    24,
  );
  // Every third day a space was deleted.
  await run(
    `insert into spaces (tenant_id, space_id, incarnation, name, log_cursor, world, generation_seq, incarnation_seq, deleted_at)
    select $3, 'gone' || d, 'i', 'Gone', 1, 0, 1, 1, $1::timestamptz - make_interval(days => d) from generate_series(0, $2::integer - 1, 3) d`,
    now,
    DAYS,
    tenantId,
  );
}

const TABLES = [
  'events',
  'chat_messages',
  'incidents',
  'dead_letters',
  'sessions',
  'person_days',
  'job_runs',
  'spaces',
];

async function countTables(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of TABLES) {
    const { rows } = await database.admin.query<{ n: number }>(`select count(*)::int as n from ${table}`);
    counts[table] = rows[0]?.n ?? -1;
  }
  return counts;
}

it('[U2] works off a year in bounded batches, and then keeps pace with the clock', async () => {
  const tenantId = uniqueName('t');
  const layer = openLayer(database.postgres, { tenantId, spaceId: 'main', actor: null });
  await layer.connect();
  await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
  let nowMs = Math.floor(Date.now() / DAY_MS) * DAY_MS + DAY_MS / 2;
  await fillYear(tenantId, nowMs);
  const before = await countTables();
  const { store, calls } = timeUpkeep(createUpkeepStore(database.postgres));
  const upkeep = new Upkeep(store, {
    now: () => nowMs,
    retention: RETENTION,
    forgetSpace: null,
    sweepObjects: async () => 0,
    onFailure: (step, cause) => expect.unreachable(`${step}: ${cause}`),
  });
  let runs = 0;
  for (let left = ['all']; left.length > 0; runs++)
    ({ left } = await upkeep.run({ budgetMs: 60_000, batchesMax: 100 }));
  const after = await countTables();
  const kept = (days: number, perDay: number) => days * perDay;
  expect(after).toEqual({
    // The day that has the moment 30 days ago stays whole.
    events: kept(31, EVENTS_PER_DAY),
    chat_messages: kept(7, MESSAGES_PER_DAY),
    incidents: kept(90, OTHERS_PER_DAY),
    dead_letters: kept(30, OTHERS_PER_DAY),
    sessions: kept(7, OTHERS_PER_DAY),
    person_days: kept(365, OTHERS_PER_DAY),
    job_runs: kept(90, 24),
    // `main`, and the spaces that were deleted 0, 3 and 6 days ago.
    spaces: 4,
  });
  expect(runs).toBeGreaterThan(1);

  // A year passes, an hour's cleanup a day, and nothing is written.
  const end = nowMs + 400 * DAY_MS;
  for (; nowMs < end; nowMs += DAY_MS)
    expect((await upkeep.run({ budgetMs: 60_000, batchesMax: 400 })).left).toEqual([]);
  const later = await countTables();
  expect(later).toEqual({
    ...Object.fromEntries(TABLES.map((table) => [table, 0])),
    person_days: later.person_days,
    spaces: 1,
  });
  expect(later.person_days).toBeLessThanOrEqual(2 * OTHERS_PER_DAY);
  const { rows } = await database.admin.query<{ n: number }>(
    "select count(*)::int as n from pg_inherits where inhparent = 'events'::regclass",
  );
  // 30 days back, today, and a week ahead.
  expect(rows[0]?.n).toBe(30 + 1 + 7);
  console.table(
    TABLES.map((table) => ({
      table,
      before: before[table],
      after: after[table],
      'a year later': later[table],
    })),
  );
  console.table(describeCalls(calls));
});
