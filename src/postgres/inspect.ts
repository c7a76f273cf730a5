import pg from 'pg';
import {
  FIXED_SETTINGS,
  SELECT_SESSION_SETTINGS,
  TIMEOUT_SETTINGS,
  TRANSACTION_SETTINGS,
} from './settings.ts';

/** The facts about a database that the runtime role can see. */
export interface DatabaseFacts {
  /** As `server_version_num`: 160004 is 16.4. */
  version: number;
  role: {
    name: string;
    isSuperuser: boolean;
    bypassesRowSecurity: boolean;
    /** Roles it may become that are superusers or bypass row security. */
    mayBecome: string[];
    /** Tables, functions, schemas and the database itself. */
    owns: string[];
  };
  /** Settings that are not the server's own: a database, a role, a connection string or a file set them. */
  settings: { name: string; value: string; source: string }[];
  /** Every table with a tenant_id. */
  tables: {
    name: string;
    isEnabled: boolean;
    isForced: boolean;
    isReadable: boolean;
    /** The settings of the role, as Postgres prints them. */
    policies: { name: string; using: string | null; check: string | null }[];
  }[];
  /** The owner of the tables with a tenant, who runs maintenance by hand; null without such tables. */
  tableOwner: { name: string; seesAll: boolean } | null;
  /** Every materialized view. A refresh runs with the rights of its owner, and sees only the rows that this role sees. */
  views: {
    name: string;
    owner: string;
    /** For the differences of a concurrent refresh. */
    hasTemporary: boolean;
    /** Tables whose row security hides rows from the owner, or that the owner may not read. */
    hidden: string[];
  }[];
  /** Newest last; null where none ever ran, `denied` where the role may not see. */
  migrations: { when: number; hash: string }[] | null | 'denied';
  /** Of one tenant: operations that could not be kept and were not sent again; what was found wrong in the last day. Null before the migration. */
  logRecords: {
    deadLetters: number;
    logsLost: number;
    logGaps: number;
    redisRestarts: number;
    readersAhead: number;
  } | null;
  /** Milliseconds by which its clock is before (+) or behind (−) this machine's, give or take half of `roundTripMs`. */
  clockDifferenceMs: number;
  roundTripMs: number;
}

const ROLE = `
  select current_setting('server_version_num')::int as version, r.rolname as name, r.rolsuper as "isSuperuser",
    r.rolbypassrls as "bypassesRowSecurity",
    array(select o.rolname::text from pg_roles o
      where not r.rolsuper and o.oid <> r.oid and pg_has_role(r.oid, o.oid, 'MEMBER') and (o.rolsuper or o.rolbypassrls)
      order by 1) as "mayBecome",
    array(
      select format('table %s', c.oid::regclass) from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relowner = r.oid and c.relkind in ('r', 'p', 'v', 'm', 'S') and n.nspname !~ '^pg_'
      union all
      select format('function %s', p.oid::regprocedure) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where p.proowner = r.oid and n.nspname !~ '^pg_'
      union all
      select format('schema %s', nspname) from pg_namespace where nspowner = r.oid and nspname !~ '^pg_'
      union all
      select format('database %s', datname) from pg_database where datdba = r.oid and datname = current_database()
    ) as owns
  from pg_roles r where r.rolname = current_user`;

const SETTINGS = `
  select name, setting || coalesce(' ' || unit, '') as value, source from pg_catalog.pg_settings
  where name = any($1) and source <> 'default' order by name`;

const TABLES = `
  select c.relname as name, c.relrowsecurity as "isEnabled", c.relforcerowsecurity as "isForced",
    has_table_privilege(c.oid, 'SELECT') as "isReadable",
    coalesce((
      select json_agg(json_build_object('name', p.polname, 'using', pg_get_expr(p.polqual, p.polrelid),
        'check', pg_get_expr(p.polwithcheck, p.polrelid)) order by p.polname)
      from pg_policy p
      where p.polrelid = c.oid and p.polpermissive
        and exists (select from unnest(p.polroles) as held(oid) where held.oid = 0 or pg_has_role(current_user, held.oid, 'MEMBER'))
    ), '[]') as policies
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and n.nspname = 'public'
    and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname in ('tenant_id', 'world') and not a.attisdropped)
  order by 1`;

const TABLE_OWNER = `
  select r.rolname as name, r.rolsuper or r.rolbypassrls as "seesAll"
  from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles r on r.oid = c.relowner
  where n.nspname = 'public' and c.relname = 'spaces' and c.relkind = 'r'`;

const VIEWS = `
  select c.relname as name, r.rolname as owner,
    has_database_privilege(r.oid, current_database(), 'TEMPORARY') as "hasTemporary",
    array(
      select distinct t.relname::text from pg_rewrite w
        join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass
        join pg_class t on t.oid = d.refobjid and t.oid <> c.oid and t.relkind in ('r', 'p')
      where w.ev_class = c.oid and (
        not has_table_privilege(r.oid, t.oid, 'SELECT')
          and exists (select from pg_attribute a where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
            and not has_column_privilege(r.oid, t.oid, a.attnum, 'SELECT'))
        or t.relrowsecurity and not (r.rolsuper or r.rolbypassrls) and (t.relforcerowsecurity or t.relowner <> r.oid)
          and not exists (select from pg_policy p
            where p.polrelid = t.oid and p.polpermissive and p.polcmd in ('r', '*') and pg_get_expr(p.polqual, p.polrelid) = 'true'
              and exists (select from unnest(p.polroles) as held(oid) where held.oid = 0 or pg_has_role(r.oid, held.oid, 'USAGE'))))
      order by 1
    ) as hidden
  from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles r on r.oid = c.relowner
  where c.relkind = 'm' and n.nspname = 'public'
  order by 1`;

const RECORDS = `
  select
    (select count(*)::int from dead_letters where tenant_id = $1 and replayed_at is null) as "deadLetters",
    count(*) filter (where kind = 'log_lost')::int as "logsLost",
    count(*) filter (where kind = 'log_gap')::int as "logGaps",
    count(*) filter (where kind = 'redis_restarted')::int as "redisRestarts",
    count(*) filter (where kind = 'reader_ahead')::int as "readersAhead"
  from incidents where tenant_id = $1 and created_at > now() - interval '1 day'`;

const JOURNAL = 'drizzle.__drizzle_migrations';

/** @throws what the driver throws: whether that is a refused password or no server is for the caller to say. */
export async function inspectDatabase(
  databaseUrl: string,
  { timeoutMs, tenantId }: { timeoutMs: number; tenantId: string },
): Promise<DatabaseFacts> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'worldkeep-doctor',
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  });
  // A connection that breaks between two questions fails the next one.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const settings = await client.query<DatabaseFacts['settings'][number]>(SETTINGS, [
      [
        ...Object.keys(FIXED_SETTINGS),
        ...TIMEOUT_SETTINGS,
        ...TRANSACTION_SETTINGS,
        'session_replication_role',
      ],
    ]);
    await client.query(SELECT_SESSION_SETTINGS);
    const before = Date.now();
    const clock = await client.query<{ ms: number }>(
      'select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms',
    );
    const after = Date.now();
    const [role] = (await client.query<DatabaseFacts['role'] & { version: number }>(ROLE)).rows;
    if (role === undefined) throw new Error('the role is not among the roles');
    const { version, ...rest } = role;
    return {
      version,
      role: rest,
      settings: settings.rows,
      tables: (await client.query<DatabaseFacts['tables'][number]>(TABLES)).rows,
      tableOwner: (await client.query<NonNullable<DatabaseFacts['tableOwner']>>(TABLE_OWNER)).rows[0] ?? null,
      views: (await client.query<DatabaseFacts['views'][number]>(VIEWS)).rows,
      migrations: await readMigrations(client),
      logRecords: await readLogRecords(client, tenantId),
      clockDifferenceMs: (clock.rows[0]?.ms ?? 0) - (before + after) / 2,
      roundTripMs: after - before,
    };
  } finally {
    // Not awaited: a connection that was never made never says that it ended.
    client.end().catch(() => undefined);
  }
}

async function readMigrations(client: pg.Client): Promise<DatabaseFacts['migrations']> {
  const there = await client.query<{ there: boolean }>(
    `select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'drizzle' and c.relname = '__drizzle_migrations') as there`,
  );
  if (!there.rows[0]?.there) return null;
  const allowed = await client.query<{ allowed: boolean }>(
    `select has_schema_privilege('drizzle', 'USAGE')
       and coalesce((select has_table_privilege(c.oid, 'SELECT') from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'drizzle' and c.relname = '__drizzle_migrations'), false) as allowed`,
  );
  if (!allowed.rows[0]?.allowed) return 'denied';
  const { rows } = await client.query<{ when: string; hash: string }>(
    `select created_at as when, hash from ${JOURNAL} order by created_at`,
  );
  return rows.map(({ when, hash }) => ({ when: Number(when), hash }));
}

async function readLogRecords(client: pg.Client, tenantId: string): Promise<DatabaseFacts['logRecords']> {
  const there = await client.query<{ there: boolean }>(
    `select coalesce(has_table_privilege(to_regclass('dead_letters'), 'SELECT'), false)
       and coalesce(has_table_privilege(to_regclass('incidents'), 'SELECT'), false) as there`,
  );
  if (!there.rows[0]?.there) return null;
  await client.query('begin read only');
  await client.query("select set_config('app.tenant_id', $1, true)", [tenantId]);
  const [records] = (await client.query<NonNullable<DatabaseFacts['logRecords']>>(RECORDS, [tenantId])).rows;
  await client.query('commit');
  return records ?? null;
}
