import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

/** The last migration that has landed, and the SHA-256 of all files up to it. A database has run them and does not run them again. */
const LANDED = {
  through: '0043_erase_from_written.sql',
  sha256: 'b7559b4c7779d2f37ffca8be23cee5ad6f50d6a8865ec2bcc353a3a1571fd97d',
};

describe('migrations', () => {
  it('that have landed are never edited: an older database would not get the change', () => {
    const folder = new URL('./migrations/', import.meta.url);
    const landed = readdirSync(folder).filter((name) => name.endsWith('.sql') && name <= LANDED.through);
    const digest = createHash('sha256');
    for (const name of landed.sort()) digest.update(readFileSync(new URL(name, folder)));
    expect(digest.digest('hex')).toBe(LANDED.sha256);
  });

  it('are applied once, by whoever comes first of two at once, and not again', async () => {
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

describe('[T2] row security', () => {
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
    for (const row of rows)
      expect(row).toEqual({ name: row.name, forced: true, roles: ['worldkeep_app', 'worldkeep_jobs'] });
  });

  it('[T1] every primary key and unique constraint begins with the tenant', async () => {
    const owner = await connect(stack().migrationUrl);
    const { rows } = await owner.query<{ name: string; first: string }>(`
      select i.indexrelid::regclass::text as name, a.attname as first
      from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
      join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'public'`);
    expect(rows.length).toBeGreaterThanOrEqual(11);
    expect(rows.filter(({ first }) => first !== 'tenant_id')).toEqual([]);
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

describe('constraints', () => {
  it('refuse what no world may hold, whoever writes it', async () => {
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
