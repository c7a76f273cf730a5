import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { makeWorld, openTestNeon } from '../test/layers.ts';
import { stack, uniqueName } from '../test/support.ts';
import { migrate } from './migrate.ts';

const clients: pg.Client[] = [];
afterAll(() => Promise.all(clients.map((client) => client.end())));

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  clients.push(client);
  return client;
}

/** A new database of the owner's, and its address. */
async function makeDatabase(): Promise<string> {
  const name = uniqueName('db').replaceAll('-', '_');
  const owner = await connect(stack().migrationUrl);
  await owner.query(`create database ${name}`);
  const url = new URL(stack().migrationUrl);
  url.pathname = `/${name}`;
  return url.href;
}

const newest = readFileSync(new URL('./migrations/meta/_journal.json', import.meta.url), 'utf8').match(
  /"tag"/g,
);

describe('migrations', () => {
  it('refuse a database that another version has made, before they change anything', async () => {
    const migrationUrl = await makeDatabase();
    const client = await connect(migrationUrl);
    await client.query(`
      create schema drizzle;
      create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint);
      insert into drizzle.__drizzle_migrations (hash, created_at) values ('0123456789abcdef', 1)`);
    await expect(migrate({ migrationUrl })).rejects.toThrow(
      'Another version of worldkeep made this database (migration 0123456789ab): use an empty database, or, for `npm run dev`, remove the folder .worldkeep, which deletes the local world.',
    );
    const { rows } = await client.query("select from pg_tables where schemaname = 'public'");
    expect(rows).toEqual([]);
  });

  it('are applied once, by the first of two processes, and not again', async () => {
    const migrationUrl = await makeDatabase();
    const applied = await Promise.all([migrate({ migrationUrl }), migrate({ migrationUrl })]);
    expect(applied.sort((a, b) => a - b)).toEqual([0, newest?.length]);
    expect(await migrate({ migrationUrl })).toBe(0);
  });

  it('are all or nothing', async () => {
    const migrationUrl = await makeDatabase();
    const folder = mkdtempSync(join(tmpdir(), 'migrations-'));
    cpSync(new URL('./migrations', import.meta.url), folder, { recursive: true });
    const journal = JSON.parse(readFileSync(join(folder, 'meta/_journal.json'), 'utf8'));
    const last = journal.entries.at(-1);
    journal.entries.push({ ...last, idx: last.idx + 1, when: last.when + 1, tag: '9999_broken' });
    writeFileSync(join(folder, 'meta/_journal.json'), JSON.stringify(journal));
    writeFileSync(join(folder, '9999_broken.sql'), 'SELECT 1 / 0;');
    await expect(migrate({ migrationUrl, migrationsFolder: folder })).rejects.toThrow();
    rmSync(folder, { recursive: true });
    const client = await connect(migrationUrl);
    const { rows } = await client.query(
      "select count(*)::int as n from pg_tables where schemaname = 'public'",
    );
    expect(rows).toEqual([{ n: 0 }]);
    expect(await migrate({ migrationUrl })).toBe(newest?.length);
  });
});

describe('[T2a] row security', () => {
  it('holds on every table with a tenant, for its owner too, with a policy for each role', async () => {
    const owner = await connect(stack().migrationUrl);
    const { rows } = await owner.query<{ name: string; forced: boolean; roles: string[] }>(`
      select c.relname as name, c.relrowsecurity and c.relforcerowsecurity as forced,
        array(select r.rolname::text from pg_policy p join pg_roles r on r.oid = any (p.polroles)
              where p.polrelid = c.oid order by 1) as roles
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public' and c.relkind in ('r', 'p')
      order by 1`);
    expect(rows.length).toBeGreaterThanOrEqual(11);
    // They have no tenant: only functions of the jobs use them.
    const shared = ['event_logs', 'job_runs', 'metric_counts', 'metric_flushes', 'view_refreshes'];
    for (const row of rows) {
      const roles = shared.includes(row.name) ? ['worldkeep_jobs'] : ['worldkeep_app', 'worldkeep_jobs'];
      expect(row).toEqual({ name: row.name, forced: true, roles });
    }
  });

  it('[T1] every index begins with the tenant, or with a number that belongs to one tenant', async () => {
    const owner = await connect(stack().migrationUrl);
    const { rows } = await owner.query<{ name: string; first: string }>(`
      select i.indexrelid::regclass::text as name, a.attname as first
      from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
      join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public'`);
    expect(rows.length).toBeGreaterThanOrEqual(11);
    const others = rows
      .filter(({ first }) => first !== 'tenant_id')
      .map(({ name, first }) => `${name} (${first})`);
    expect(others.sort()).toEqual([
      'authors_pkey (number)',
      'event_logs_pkey (log_name)',
      'incidents_by_kind (kind)',
      'job_runs_newest (job)',
      'job_runs_pkey (run_id)',
      'metric_counts_pkey (field)',
      'metric_flushes_oldest (created_at)',
      'metric_flushes_pkey (token)',
      'object_removals_newest (world)',
      'object_removals_world_object_id_pk (world)',
      'spaces_by_world (world)',
      'tenants_number_unique (number)',
      'view_refreshes_pkey (view_name)',
      'world_objects_world_object_id_pk (world)',
    ]);
  });

  it('the runtime role owns nothing, and may neither bypass row security, truncate nor create', async () => {
    const owner = await connect(stack().migrationUrl);
    const { rows: roles } = await owner.query(
      "select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb from pg_roles where rolname in ('worldkeep_app', 'worldkeep_jobs') order by 1",
    );
    const nothing = { rolsuper: false, rolbypassrls: false, rolcreaterole: false, rolcreatedb: false };
    expect(roles).toEqual([
      { rolname: 'worldkeep_app', ...nothing },
      { rolname: 'worldkeep_jobs', ...nothing },
    ]);
    const { rows: owned } = await owner.query(
      "select c.relname from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname = 'worldkeep_app'",
    );
    expect(owned).toEqual([]);
    const app = await connect(stack().databaseUrl);
    await expect(app.query('truncate world_objects')).rejects.toMatchObject({ code: '42501' });
    await expect(app.query('create table mine (id int)')).rejects.toMatchObject({ code: '42501' });
    await expect(app.query('set role worldkeep_jobs')).rejects.toMatchObject({ code: '42501' });
    await expect(app.query("call protect_tenant_table('users', 'ALL')")).rejects.toMatchObject({
      code: '42501',
    });
  });

  it('shows nothing without a tenant, and takes no row of another', async () => {
    const postgres = openTestNeon();
    const { layer, tenantId } = await makeWorld(postgres);
    await layer.saveObject({ id: 'a' });
    const app = await connect(stack().databaseUrl);
    for (const tenant of ['', uniqueName('other')]) {
      await app.query('begin');
      await app.query("select set_config('app.tenant_id', $1, true)", [tenant]);
      for (const table of ['tenants', 'spaces', 'world_objects', 'api_keys', 'users']) {
        const { rows } = await app.query(`select count(*)::int as n from ${table}`);
        expect(rows, `${table} for '${tenant}'`).toEqual([{ n: 0 }]);
      }
      const forged = app.query('insert into users (tenant_id, user_id, display_name) values ($1, $2, $2)', [
        tenantId,
        'x',
      ]);
      await expect(forged).rejects.toMatchObject({ code: '42501' });
      await app.query('rollback');
    }
  });
});

describe('what no generated migration holds', () => {
  it('is there: room on the pages of rows that move, and policies without a list of worlds', async () => {
    const owner = await connect(stack().migrationUrl);
    const { rows: options } = await owner.query(
      "select relname as name, reloptions as options from pg_class where reloptions is not null and relkind = 'r' and relnamespace = 'public'::regnamespace order by 1",
    );
    expect(options).toEqual(
      ['metric_counts', 'space_members', 'spaces', 'world_objects'].map((name) => ({
        name,
        options: ['fillfactor=50'],
      })),
    );
    const { rows: policies } = await owner.query<{ name: string; using: string; check: string }>(
      "select tablename as name, qual as using, with_check as check from pg_policies where policyname = 'tenant_isolation' order by 1",
    );
    const byTenant = '(tenant_id = current_tenant())';
    for (const { name, using, check } of policies) {
      expect(check, name).toBe(using);
      const isWorld = name === 'world_objects' || name === 'object_removals';
      if (isWorld)
        expect(using.replace(/\s+/g, ' ')).toMatch(
          /^\(\(world >> 39\) = \( SELECT t\.number FROM tenants t WHERE \(t\.tenant_id = current_tenant\(\)\)\)\)$/,
        );
      else expect(using, name).toBe(byTenant);
    }
  });
});

describe('[T1a] the number of a world', () => {
  it('of another tenant is refused just as one that no world has, for every kind of statement', async () => {
    const postgres = openTestNeon();
    const [mine, theirs] = [await makeWorld(postgres), await makeWorld(postgres)];
    await theirs.layer.saveObject({ id: 'a' });
    await mine.layer.saveObject({ id: 'a' });
    const owner = await connect(stack().migrationUrl);
    const app = await connect(stack().databaseUrl);
    const as = async (tenantId: string, query: string, values: unknown[] = []) => {
      await app.query('begin');
      await app.query("select set_config('app.tenant_id', $1, true)", [tenantId]);
      try {
        const { rowCount } = await app.query(query, values);
        return rowCount;
      } catch (error) {
        const { code, message } = error as pg.DatabaseError;
        return `${code} ${message}`;
      } finally {
        await app.query('rollback');
      }
    };
    await app.query('begin');
    await app.query("select set_config('app.tenant_id', $1, true)", [theirs.tenantId]);
    const { rows } = await app.query<{ world: string }>('select world from spaces');
    await app.query('rollback');
    const foreign = rows[0]?.world ?? '';
    const unused = String(BigInt(foreign) + 100_000n);
    const columns =
      'world, object_id, seq, created_seq, position_x, position_y, position_z, rotation_x, rotation_y, rotation_z, rotation_w, scale_x, scale_y, scale_z';
    const insert = `insert into world_objects (${columns}) values ($1, 'a', 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1)`;
    const statements = [
      insert,
      `${insert} on conflict do nothing`,
      `${insert} on conflict (world, object_id) do update set seq = 2`,
      `update world_objects set world = $1`,
      `update world_objects set seq = 2 where world = $1`,
      `delete from world_objects where world = $1`,
      `select from world_objects where world = $1`,
      `select from worlds where world = $1`,
      `insert into object_removals (world, object_id, seq) values ($1, 'a', 1)`,
    ];
    for (const statement of statements) {
      const outcome = await as(mine.tenantId, statement, [foreign]);
      expect(outcome, statement).toBe(await as(mine.tenantId, statement, [unused]));
      expect([0, '42501']).toContain(typeof outcome === 'string' ? outcome.slice(0, 5) : outcome);
      // The same is allowed where the number is the tenant's own, so the comparison says something.
      expect(await as(theirs.tenantId, 'select from world_objects where world = $1', [foreign])).toBe(1);
    }
    await expect(owner.query('update tenants set number = 1')).rejects.toMatchObject({ code: '428C9' });
  });

  it('[L6] has 39 bits below the 24 of its tenant, and both fit into a bigint', async () => {
    const owner = await connect(stack().migrationUrl);
    const { rows } = await owner.query<{ name: string; max: string }>(
      "select sequencename as name, max_value as max from pg_sequences where sequencename in ('world_numbers', 'tenants_number_seq') order by 1",
    );
    expect(rows).toEqual([
      { name: 'tenants_number_seq', max: String(2 ** 24 - 1) },
      { name: 'world_numbers', max: String(2 ** 39 - 1) },
    ]);
    const [{ largest }] = (
      await owner.query<{ largest: string }>('select (16777215::bigint << 39) | 549755813887 as largest')
    ).rows as [{ largest: string }];
    expect(BigInt(largest)).toBe(2n ** 63n - 1n);
  });

  it('is drawn again for each generation', async () => {
    const { layer, tenantId } = await makeWorld(openTestNeon());
    const app = await connect(stack().databaseUrl);
    const readWorlds = async () => {
      await app.query('begin');
      await app.query("select set_config('app.tenant_id', $1, true)", [tenantId]);
      const { rows } = await app.query<{ world: string }>('select world from spaces');
      await app.query('rollback');
      return rows[0]?.world;
    };
    const seen = new Set([await readWorlds()]);
    for (let i = 0; i < 3; i++) {
      await layer.saveWorldState({ objects: [{ id: 'a' }] });
      seen.add(await readWorlds());
    }
    expect(seen.size).toBe(4);
  });
});

describe('constraints', () => {
  it('refuse invalid values, also from direct SQL', async () => {
    const { layer, tenantId } = await makeWorld(openTestNeon());
    await layer.saveObject({ id: 'a' });
    const app = await connect(stack().databaseUrl);
    const changes: [string, string][] = [
      ["position_x = 'NaN'", 'world_objects_position_finite'],
      ["scale_y = 'Infinity'", 'world_objects_scale_finite'],
      ["rotation_z = '-Infinity'", 'world_objects_rotation_finite'],
      ['rotation_w = 0', 'world_objects_rotation_length'],
      ["parent_id = 'a/b'", 'world_objects_parent_id_form'],
      ["model_id = ''", 'world_objects_model_id_form'],
      ["object_id = repeat('x', 129)", 'world_objects_id_form'],
      ["object_id = '..'", 'world_objects_id_form'],
      ["parent_id = '.'", 'world_objects_parent_id_form'],
      ["name = repeat('x', 257)", 'world_objects_name_size'],
      ["properties = '[]'", 'world_objects_properties_size'],
      ["properties = jsonb_build_object('t', repeat('x', 65536))", 'world_objects_properties_size'],
    ];
    for (const [change, constraint] of changes) {
      await app.query('begin');
      await app.query("select set_config('app.tenant_id', $1, true)", [tenantId]);
      await expect(app.query(`update world_objects set ${change}`), change).rejects.toMatchObject({
        code: '23514',
        constraint,
      });
      await app.query('rollback');
    }
  });
});
