import type pg from 'pg';
import type { Postgres } from '../../src/postgres/client.ts';
import { openLayer } from '../layers.ts';
import { uniqueName } from '../support.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** Days after which each kind goes, as the configuration has them by default. */
export const RETENTION = {
  eventDays: 30,
  chatDeletedDays: 7,
  spaceDeletedDays: 7,
  deadLetterDays: 30,
  incidentDays: 90,
  sessionDays: 7,
  resultsSeconds: 3_600,
};

/** A tenant with rows of every kind, a minute older and a minute younger than their time. Names of rows that go begin with `old`. */
export async function fillTenant(postgres: Postgres, admin: pg.Client, nowMs: number): Promise<string> {
  const tenantId = uniqueName('t');
  const layer = openLayer(postgres, { tenantId, spaceId: 'main', actor: 'tester' });
  await layer.connect();
  for (const spaceId of ['old-deleted', 'new-deleted']) {
    const prefix = spaceId.slice(0, 3);
    await layer.putSpace(spaceId, { name: spaceId });
    const objects = ['a', 'b', 'c'].map((id) => ({ id: `${prefix}-${id}` }));
    await layer.saveWorldState(
      {
        objects,
        users: [],
        models: [{ id: `m-${prefix}`, url: 'https://models.example/m.glb' }],
        chat: [{ id: `${prefix}-said`, text: 'Hello' }],
      },
      { spaceId },
    );
  }
  await layer.saveWorldState({ objects: [{ id: 'new-kept' }] });
  await layer.upsertUser({ id: 'ann', displayName: 'Ann' });
  const days = (count: number) => count * DAY_MS;
  const put = async (sql: string, ...values: unknown[]) => void (await admin.query(sql, values));
  for (const prefix of ['old', 'new']) {
    // A minute before or after the moment at which a row of this age goes.
    const ago = (ms: number) => new Date(nowMs - ms + (prefix === 'old' ? -MINUTE_MS : MINUTE_MS));
    const id = `${prefix}-1`;
    await put(
      `insert into write_results (tenant_id, space_id, seq, results, created_at) values ($1, 'main', $2, $3, $4)`,
      tenantId,
      prefix === 'old' ? 1 : 2,
      JSON.stringify([{ id }]),
      ago(RETENTION.resultsSeconds * 1_000),
    );
    await put(
      `insert into written_objects (tenant_id, space_id, object_id, seq, created_seq, position_x, position_y, position_z, rotation_x,
        rotation_y, rotation_z, rotation_w, scale_x, scale_y, scale_z, created_at)
      values ($1, 'main', $2, $3, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, $4)`,
      tenantId,
      id,
      prefix === 'old' ? 1 : 2,
      ago(60_000),
    );
    await put(
      `insert into dead_letters (tenant_id, dead_letter_id, space_id, incarnation, seq, index, kind, target_id, op, created_at)
      values ($1, $2, 'main', 'i', 1, 0, 'object', 'o', '{}', $3)`,
      tenantId,
      id,
      ago(days(RETENTION.deadLetterDays)),
    );
    await put(
      `insert into incidents (tenant_id, incident_id, space_id, kind, detail, created_at) values ($1, $2, 'main', 'log_gap', '{}', $3)`,
      tenantId,
      id,
      ago(days(RETENTION.incidentDays)),
    );
    await put(
      `insert into chat_messages (tenant_id, space_id, message_id, text, seq, created_at, deleted_at) values ($1, 'main', $2, 'x', 1, $3, $3)`,
      tenantId,
      id,
      ago(days(RETENTION.chatDeletedDays)),
    );
    await put(
      `insert into sessions (tenant_id, session_id, space_id, user_id, role, expires_at, ended_at) values ($1, $2, 'main', 'ann', 'viewer', $3, $3)`,
      tenantId,
      id,
      ago(days(RETENTION.sessionDays)),
    );
    for (const column of ['expires_at', 'revoked_at'])
      await put(
        `insert into api_keys (tenant_id, key_id, secret_sha256, scopes, ${column}) values ($1, $2::text, sha256(convert_to($2::text, 'UTF8')), '{read}', $3)`,
        tenantId,
        `${id}-${column}`,
        ago(days(30)),
      );
    const day = new Date(nowMs - days(prefix === 'old' ? 401 : 399)).toISOString().slice(0, 10);
    await put(
      `insert into person_days (tenant_id, user_id, day, space_id) values ($1, $2, $3, 'main')`,
      tenantId,
      id,
      day,
    );
    await put(`insert into space_days (tenant_id, space_id, day) values ($1, $2, $3)`, tenantId, id, day);
    await put(
      `update spaces set deleted_at = $2, log_cursor = 1 where tenant_id = $1 and space_id = $3`,
      tenantId,
      ago(days(RETENTION.spaceDeletedDays)),
      `${prefix}-deleted`,
    );
    // A stage, and the note of an object that was removed from the world.
    await put(
      `with w as (
        insert into worlds (tenant_id, space_id, world)
        select tenant_id, 'main', (number << 39) | nextval('world_numbers') from tenants where tenant_id = $1 returning world
      ), s as (
        insert into world_stages (tenant_id, stage_id, space_id, world, touched_at) select $1, $2, 'main', world, $3 from w
      )
      insert into world_objects (world, object_id, seq, created_seq, position_x, position_y, position_z, rotation_x, rotation_y,
        rotation_z, rotation_w, scale_x, scale_y, scale_z)
      select world, $2, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1 from w`,
      tenantId,
      id,
      ago(3_600_000),
    );
    await put(
      `insert into object_removals (world, object_id, seq)
      select world, $2, $3::bigint from spaces where tenant_id = $1 and space_id = 'main'`,
      tenantId,
      id,
      ago(days(8)).getTime() * 1_000,
    );
    const name = `${prefix}-${tenantId}`;
    await put(`insert into job_runs (run_id, job, started_at) values ($1, 'drain', $2)`, name, ago(days(90)));
    await put(
      `insert into event_logs (log_name, cursor, updated_at) values ($1, 0, $2)`,
      name,
      ago(days(400)),
    );
    // Events go by the day: the oldest kept day is the one that has the moment 30 days ago.
    const at = new Date(Math.floor((nowMs - days(30)) / DAY_MS) * DAY_MS + (prefix === 'old' ? -1 : 1));
    await put(`select add_day('events', ($1::timestamptz at time zone 'UTC')::date)`, at);
    await put(
      `insert into events (tenant_id, event_id, type, at, created_at) values ($1, $2, 'x', $3, $3)`,
      tenantId,
      id,
      at,
    );
  }
  // A generation that nothing names any more, with more rows than one step of a small batch.
  await put(
    `with w as (
      insert into worlds (tenant_id, space_id, world)
      select tenant_id, 'main', (number << 39) | nextval('world_numbers') from tenants where tenant_id = $1 returning world
    ), r as (
      insert into object_removals (world, object_id, seq) select world, 'old-unnamed', 9000000000000000 from w
    )
    insert into world_objects (world, object_id, seq, created_seq, position_x, position_y, position_z, rotation_x, rotation_y,
      rotation_z, rotation_w, scale_x, scale_y, scale_z)
    select world, 'old-unnamed-' || i, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1 from w, generate_series(1, 5) i`,
    tenantId,
  );
  return tenantId;
}

/** Tables whose rows a cleanup may remove. */
const TABLES = [
  'api_keys',
  'chat_messages',
  'dead_letters',
  'event_logs',
  'events',
  'incidents',
  'job_runs',
  'log_spill',
  'object_removals',
  'person_days',
  'sessions',
  'space_assets',
  'space_days',
  'space_members',
  'spaces',
  'tenants',
  'uploaded_models',
  'users',
  'world_objects',
  'world_stages',
  'worlds',
  'write_results',
  'written_objects',
] as const;

/** Every row of these tables as a text that begins with its table; without the rows of runs that ended. */
export async function listRows(admin: pg.Client): Promise<string[]> {
  const selects = TABLES.map((table) => `select '${table} ' || to_jsonb(r)::text as text from ${table} r`);
  const { rows } = await admin.query<{ text: string }>(selects.join(' union all '));
  return rows.map(({ text }) => text).sort();
}

export const isOld = (row: string) => row.includes('"old');

/** Worlds that have no row in `worlds`, and worlds there that nothing names. */
export async function countLooseWorlds(admin: pg.Client): Promise<number> {
  const { rows } = await admin.query<{ n: number }>(`
    select ((select count(*) from world_objects o where not exists (select from worlds w where w.world = o.world))
      + (select count(*) from object_removals o where not exists (select from worlds w where w.world = o.world))
      + (select count(*) from worlds w
        where not exists (select from spaces s where s.world = w.world)
          and not exists (select from world_stages g where g.world = w.world)))::int as n`);
  return rows[0]?.n ?? -1;
}
