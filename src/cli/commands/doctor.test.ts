import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrate } from '../../../drizzle/migrate.ts';
import { stack, uniqueName } from '../../../test/support.ts';
import { runDoctor } from '../testing/doctor-report.ts';
import { runHere } from '../testing/run-here.ts';
import { openWorkplace, type Workplace } from '../testing/workplace.ts';

let at: Workplace;
const undo: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  at = await openWorkplace();
});
afterAll(async () => {
  for (const end of undo.reverse()) await end();
  await at.close();
});

const examine = (env: Record<string, string>, cwd = at.folder) => runDoctor(env, cwd);

const query = async (url: string, ...statements: string[]) => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
};

const within = (url: string, database: string) =>
  Object.assign(new URL(url), { pathname: `/${database}` }).href;
const as = (url: string, username: string, password: string) =>
  Object.assign(new URL(url), { username, password }).href;

/** A database of the test's own, as it is after `statements` of a superuser. */
async function makeDatabase({ migrated = true, statements = [] as string[] } = {}): Promise<string> {
  const name = uniqueName('doctor').replaceAll('-', '_');
  await query(stack().migrationUrl, `CREATE DATABASE ${name}`);
  undo.push(() => query(stack().superuserUrl, `DROP DATABASE ${name} WITH (FORCE)`));
  if (migrated) await migrate({ migrationUrl: within(stack().migrationUrl, name) });
  await query(within(stack().superuserUrl, name), ...statements);
  return within(stack().databaseUrl, name);
}

/** A role that may log in, made by a superuser. */
async function makeRole(options: string): Promise<{ name: string; password: string }> {
  const name = uniqueName('doctor').replaceAll('-', '_');
  const password = randomBytes(12).toString('hex');
  await query(stack().superuserUrl, `CREATE ROLE ${name} LOGIN ${options} PASSWORD '${password}'`);
  undo.push(() => query(stack().superuserUrl, `DROP OWNED BY ${name}`, `DROP ROLE ${name}`));
  return { name, password };
}

describe('worldkeep doctor', () => {
  const healthy = () => ({
    ...at.env,
    DATABASE_URL: stack().databaseUrl,
    UPSTASH_REDIS_REST_URL: stack().redisRestUrl,
    UPSTASH_REDIS_REST_TOKEN: stack().redisRestToken,
  });

  it('finds nothing wrong with the stack, and says what a Redis over HTTP does not tell', async () => {
    const report = await examine(healthy());
    expect(report.wrong).toEqual([]);
    expect([report.code, report.healthy]).toEqual([0, true]);
    for (const id of ['config', 'api', 'api.key', 'postgres', 'postgres.migrations', 'postgres.role_rights'])
      expect(report.find(id)).toMatchObject({ status: 'ok' });
    for (const id of [
      'postgres.ownership',
      'postgres.row_security',
      'postgres.clock',
      'redis',
      'redis.clock',
    ])
      expect(report.find(id)).toMatchObject({ status: 'ok' });
    expect(report.find('redis.eviction')).toMatchObject({
      status: 'unknown',
      message: expect.stringContaining('cannot be known'),
      remedy: expect.stringContaining('Upstash console'),
    });
  });

  it('prints a line for each, with its remedy below where it is not well', async () => {
    const { code, stdout } = await runHere(['doctor'], {
      env: { ...healthy(), DATABASE_URL: '' },
      cwd: at.folder,
    });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^WRONG {2}config: DATABASE_URL must be set.*\n {7}Change the variable/m);
    expect(stdout).toMatch(/^ok {5}api: the API at \S+ is ready$/m);
    expect(stdout).toMatch(
      /^\? {6}postgres: Postgres was not asked: DATABASE_URL is not set\n {7}Set DATABASE_URL\.$/m,
    );
    expect(stdout).toMatch(/\n1 wrong; 2 could not be seen\n$/);
  });

  it('shows no secret, whatever is wrong', async () => {
    const secret = randomBytes(12).toString('hex');
    const report = await examine({
      WORLDKEEP_URL: 'http://127.0.0.1:9',
      WORLDKEEP_API_KEY: secret,
      DATABASE_URL: as(stack().databaseUrl, 'worldkeep_app', secret),
      UPSTASH_REDIS_REST_URL: stack().redisRestUrl,
      UPSTASH_REDIS_REST_TOKEN: secret,
    });
    expect(report.code).toBe(1);
    expect(report.wrong).toEqual(['api', 'postgres', 'redis']);
    expect(report.find('postgres')?.message).toContain('refuses the role or the password in DATABASE_URL');
    expect(report.text).not.toContain(secret);
  });

  it('asks the local stack where nothing else is named', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'worldkeep-doctor-'));
    undo.push(() => rm(folder, { recursive: true }));
    await mkdir(join(folder, '.worldkeep'));
    const dev = {
      url: at.url,
      apiKey: at.env.WORLDKEEP_API_KEY,
      ...stack(),
      qstashUrl: 'http://127.0.0.1:9',
    };
    await writeFile(join(folder, '.worldkeep/dev.json'), JSON.stringify(dev));
    const report = await examine({}, folder);
    // Its queue, too.
    expect(report.wrong).toEqual(['qstash.schedule']);
    expect(report.find('postgres.row_security')?.status).toBe('ok');
  });

  it('asks the queue of the local stack where the environment names its database', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'worldkeep-doctor-'));
    undo.push(() => rm(folder, { recursive: true }));
    await mkdir(join(folder, '.worldkeep'));
    const dev = { url: at.url, ...stack(), qstashUrl: 'http://127.0.0.1:9' };
    await writeFile(join(folder, '.worldkeep/dev.json'), JSON.stringify(dev));
    expect((await examine(healthy(), folder)).wrong).toEqual(['qstash.schedule']);
    const other = { ...healthy(), DATABASE_URL: as(stack().databaseUrl, 'somebody', 'x') };
    expect((await examine(other, folder)).find('qstash.schedule')).toMatchObject({ status: 'warning' });
  });

  it('says what is not there and what contradicts itself', async () => {
    const report = await examine({
      ...at.env,
      WORLDKEEP_API_KEY: `wk_${at.tenant}_${'x'.repeat(43)}`,
      DATABASE_URL: 'postgresql://worldkeep_app:x@127.0.0.1:9/worldkeep',
      CACHE_ENABLED: 'true',
    });
    expect(report.wrong).toEqual(['config', 'api.key', 'postgres']);
    expect(report.find('api.key')?.remedy).toContain('Check WORLDKEEP_API_KEY');
    expect(report.find('config')?.message).toContain('CACHE_ENABLED is on, which needs a Redis');
    expect(report.find('postgres')?.message).toContain('ECONNREFUSED');
    const proxies = await examine({ DATABASE_URL: stack().databaseUrl, TRUSTED_PROXIES: 'proxy.example' });
    expect(proxies.find('config')?.message).toMatch(/^TRUSTED_PROXIES must be .* not "proxy\.example"/);
  });
});

describe('worldkeep doctor, of a database', () => {
  const examineDatabase = (databaseUrl: string) => examine({ DATABASE_URL: databaseUrl });

  it('that was never migrated', async () => {
    const report = await examineDatabase(await makeDatabase({ migrated: false }));
    expect(report.code).toBe(1);
    expect(report.wrong).toEqual(['postgres.migrations', 'postgres.row_security']);
    expect(report.find('postgres.migrations')?.remedy).toContain('npx worldkeep migrate');
  });

  it('that lacks the newest migration, has one that is not known here, or one that was edited', async () => {
    const table = 'drizzle.__drizzle_migrations';
    const last = `(select max(created_at) from ${table})`;
    const cases: [string, string][] = [
      [`DELETE FROM ${table} WHERE created_at = ${last}`, '1 migration to run: 00'],
      [`INSERT INTO ${table} (hash, created_at) VALUES ('x', 9999999999999)`, 'newer than this program'],
      [`UPDATE ${table} SET hash = 'x' WHERE created_at = ${last}`, 'other text has run than is in 00'],
    ];
    for (const [statement, message] of cases) {
      const report = await examineDatabase(await makeDatabase({ statements: [statement] }));
      expect(report.wrong).toEqual(['postgres.migrations']);
      expect(report.find('postgres.migrations')?.message).toContain(message);
    }
  });

  it.each([
    [
      'ALTER MATERIALIZED VIEW retention OWNER TO worldkeep_owner_of_test',
      'retention (its owner worldkeep_owner_of_test does not see the rows of person_days)',
    ],
    [
      'ALTER TABLE person_days DISABLE ROW LEVEL SECURITY; GRANT SELECT ON person_days TO worldkeep_owner_of_test; ALTER MATERIALIZED VIEW retention OWNER TO worldkeep_owner_of_test',
      'retention (it belongs to worldkeep_owner_of_test)',
    ],
    [
      'DROP POLICY jobs_across_tenants ON spaces',
      'popular_models (its owner worldkeep_jobs does not see the rows of spaces), space_statistics (its',
    ],
    [
      'REVOKE SELECT ON events FROM worldkeep_jobs',
      'peak_presence (its owner worldkeep_jobs does not see the rows of events)',
    ],
    [
      `DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM worldkeep_jobs', current_database()); END $$`,
      'daily_activity (its owner worldkeep_jobs lacks TEMPORARY)',
    ],
  ])('[N1f] whose views a refresh would leave empty, or not refresh: %s', async (statement, message) => {
    const { name } = await makeRole('NOBYPASSRLS');
    const by = (text: string) => text.replaceAll('worldkeep_owner_of_test', name);
    const databaseUrl = await makeDatabase({
      statements: [`GRANT CREATE ON SCHEMA public TO ${name}`, by(statement)],
    });
    const report = await examineDatabase(databaseUrl);
    expect(report.find('postgres.views')).toMatchObject({
      status: 'warning',
      message: expect.stringContaining(by(message)),
      remedy: expect.stringContaining('OWNER TO worldkeep_jobs'),
    });
  });

  it('[N1f] whose owner deletes and refreshes nothing, because row security holds for it', async () => {
    const { name } = await makeRole('NOBYPASSRLS');
    const databaseUrl = await makeDatabase({
      statements: [
        `GRANT CREATE ON SCHEMA public TO ${name}`,
        ...['spaces', 'person_days'].map((table) => `ALTER TABLE ${table} OWNER TO ${name}`),
        "INSERT INTO person_days (tenant_id, user_id, day, space_id) VALUES ('t', 'ann', current_date, 'main')",
        'REFRESH MATERIALIZED VIEW retention',
      ],
    });
    const report = await examineDatabase(databaseUrl);
    expect([report.code, report.wrong]).toEqual([0, []]);
    expect(report.find('postgres.views')?.status).toBe('ok');
    expect(report.find('postgres.maintenance')).toMatchObject({
      status: 'warning',
      message: `${name} owns the tables and lacks BYPASSRLS: DELETE and REFRESH by this role find 0 rows, without an error`,
      remedy: expect.stringContaining('SET ROLE worldkeep_jobs'),
    });
    // It is so.
    const client = new pg.Client({
      connectionString: within(stack().superuserUrl, new URL(databaseUrl).pathname.slice(1)),
    });
    await client.connect();
    try {
      const count = async (statement: string) => (await client.query(statement)).rowCount;
      expect(await count('SELECT FROM retention')).toBe(1);
      await client.query(`SET ROLE ${name}`);
      expect(await count('DELETE FROM person_days')).toBe(0);
      await client.query(`RESET ROLE; ALTER MATERIALIZED VIEW retention OWNER TO ${name}; SET ROLE ${name}`);
      await client.query('REFRESH MATERIALIZED VIEW retention');
      expect(await count('SELECT FROM retention')).toBe(0);
      await client.query('RESET ROLE; ALTER MATERIALIZED VIEW retention OWNER TO worldkeep_jobs');
      await client.query('SET ROLE worldkeep_jobs; SELECT refresh_all_materialized_views()');
      expect(await count('SELECT FROM retention')).toBe(1);
      expect(await count('DELETE FROM person_days')).toBe(1);
    } finally {
      await client.end();
    }
  });

  it.each([
    ['ALTER TABLE users DISABLE ROW LEVEL SECURITY', 'users (off)'],
    ['ALTER TABLE spaces NO FORCE ROW LEVEL SECURITY', 'spaces (not forced)'],
    ['DROP POLICY tenant_isolation ON api_keys', 'api_keys (no policy)'],
    [
      'CREATE POLICY everything ON world_objects TO worldkeep_app USING (true)',
      'world_objects (policy everything is not the tenant',
    ],
    ['CREATE TABLE forgotten (tenant_id text)', 'forgotten (off)'],
  ])('where row security does not hold: %s', async (statement, message) => {
    const report = await examineDatabase(await makeDatabase({ statements: [statement] }));
    expect([report.code, report.wrong]).toEqual([1, ['postgres.row_security']]);
    expect(report.find('postgres.row_security')?.message).toContain(message);
    expect(report.find('postgres.row_security')?.remedy).toContain('FORCE ROW LEVEL SECURITY');
  });

  it('reached as a role without row security, by itself or through a role that it may become', async () => {
    const bypassing = await makeRole('BYPASSRLS');
    const becoming = await makeRole(`IN ROLE ${bypassing.name}`);
    for (const [{ name, password }, message] of [
      [bypassing, 'has BYPASSRLS'],
      [becoming, `may become ${bypassing.name}`],
    ] as const) {
      const report = await examineDatabase(as(stack().databaseUrl, name, password));
      expect(report.wrong).toContain('postgres.role_rights');
      expect(report.find('postgres.role_rights')?.message).toContain(message);
    }
    const owner = await examineDatabase(stack().migrationUrl);
    expect(owner.wrong).toEqual(expect.arrayContaining(['postgres.role_rights', 'postgres.ownership']));
    const superuser = await examineDatabase(stack().superuserUrl);
    expect(superuser.find('postgres.role_rights')?.message).toContain('is a SUPERUSER');
  });

  it('whose settings are overridden, and one that cannot be', async () => {
    const set = (setting: string) =>
      `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET ${setting}', current_database()); END $$`;
    const url = await makeDatabase({
      migrated: false,
      statements: [
        ...["datestyle = ''German''", "timezone = ''Asia/Kathmandu''", 'extra_float_digits = 0'].map(set),
        ...['lock_timeout = 99', 'default_transaction_read_only = on'].map(set),
        ...["search_path = ''pg_catalog''", "bytea_output = ''hex''"].map(set),
        set('session_replication_role = replica'),
      ],
    });
    const report = await examineDatabase(url);
    expect(report.find('postgres.settings')).toMatchObject({ status: 'ok' });
    for (const setting of [
      ...['DateStyle = German, DMY (database)', 'TimeZone = Asia/Kathmandu (database)'],
      ...['default_transaction_read_only = on (database)', 'extra_float_digits = 0 (database)'],
      ...['search_path = pg_catalog (database)', 'lock_timeout = 99 ms (database)'],
    ])
      expect(report.find('postgres.settings')?.message).toContain(setting);
    expect(report.find('postgres.settings')?.message).not.toMatch(/bytea_output|statement_timeout/);
    expect(report.find('postgres.triggers')).toMatchObject({
      status: 'wrong',
      message: expect.stringContaining('session_replication_role is replica (database)'),
      remedy: expect.stringContaining('RESET session_replication_role'),
    });
    const plain = await examineDatabase(stack().databaseUrl);
    expect(plain.find('postgres.settings')?.message).toMatch(/^no setting .* has to be overridden$/);
    expect(plain.find('postgres.triggers')).toBeUndefined();
  });

  it('reached as a role that owns something', async () => {
    const url = await makeDatabase({
      statements: ['CREATE TABLE own (a int)', 'ALTER TABLE own OWNER TO worldkeep_app'],
    });
    const report = await examineDatabase(url);
    expect(report.wrong).toEqual(['postgres.ownership']);
    expect(report.find('postgres.ownership')?.message).toContain('worldkeep_app owns table own');
  });
});
