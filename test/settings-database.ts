import pg from 'pg';
import { migrate } from '../drizzle/migrate.ts';
import { createApp } from '../functions/app.ts';
import { composeNode } from '../functions/compose-node.ts';
import { composeWorker } from '../functions/compose-worker.ts';
import { createCall } from './http/client.ts';
import { openOwnRedis } from './http/own-redis.ts';
import { makeEnv, type TargetEnv } from './http/targets.ts';
import { stack, uniqueName } from './support.ts';

/** A setting that a database, a role or a connection string may have. */
export type Setting = readonly [name: string, value: string];

/** Each alone may change an answer. If all are set, the last of several values for one name counts. */
export const SETTINGS: readonly Setting[] = [
  ['datestyle', 'SQL, DMY'],
  ['datestyle', 'Postgres, MDY'],
  ['datestyle', 'German'],
  ['intervalstyle', 'iso_8601'],
  ['intervalstyle', 'sql_standard'],
  ['timezone', 'Africa/Monrovia'],
  ['timezone', 'Asia/Kathmandu'],
  ['extra_float_digits', '0'],
  ['extra_float_digits', '-15'],
  ['bytea_output', 'escape'],
  ['search_path', ''],
  ['search_path', 'elsewhere, pg_catalog'],
  ['statement_timeout', '300ms'],
  ['lock_timeout', '300ms'],
  ['idle_in_transaction_session_timeout', '300ms'],
  ['idle_session_timeout', '60s'],
  ['transaction_timeout', '300ms'],
  ['default_transaction_isolation', 'serializable'],
  ['default_transaction_read_only', 'on'],
  ['default_transaction_deferrable', 'on'],
  ['client_encoding', 'LATIN1'],
  ['standard_conforming_strings', 'off'],
  ['escape_string_warning', 'on'],
  ['backslash_quote', 'off'],
  ['array_nulls', 'off'],
  ['transform_null_equals', 'on'],
  ['row_security', 'off'],
  ['quote_all_identifiers', 'on'],
  ['xmlbinary', 'hex'],
  ['xmloption', 'document'],
  ['exit_on_error', 'on'],
  ['lc_messages', 'C.UTF-8'],
  ['lc_monetary', 'C.UTF-8'],
  ['lc_numeric', 'C.UTF-8'],
  ['lc_time', 'C.UTF-8'],
  ['client_min_messages', 'debug1'],
  ['plpgsql.extra_errors', 'all'],
  ['plpgsql.variable_conflict', 'use_column'],
  ['plan_cache_mode', 'force_generic_plan'],
  ['enable_seqscan', 'off'],
  ['enable_indexscan', 'off'],
  ['check_function_bodies', 'off'],
  ['createrole_self_grant', 'set, inherit'],
  ['gin_fuzzy_search_limit', '1'],
  ['synchronous_commit', 'off'],
];

export const CLIENTS = ['pg over TCP', 'Neon over HTTP'] as const;
export type Client = (typeof CLIENTS)[number];

/**
 * A separate database, because settings of the shared one would reach every other test. It also has a separate Redis: a
 * sweep on the shared one retires the logs of spaces that its database does not know.
 */
export interface SettingsDatabase {
  /** A URL for the runtime role. */
  url: string;
  /** The variables with which a target uses this Redis. */
  redisEnv: TargetEnv;
  /** Gives the database only these settings. They apply to new connections. */
  set(settings: readonly Setting[]): Promise<void>;
  drop(): Promise<void>;
}

/** Migrates under the settings, as if the database had them from the beginning. */
export async function openSettingsDatabase(settings: readonly Setting[]): Promise<SettingsDatabase> {
  const name = uniqueName('settings').replaceAll('-', '_');
  const within = (url: string) => Object.assign(new URL(url), { pathname: `/${name}` }).href;
  const query = async (url: string, ...statements: string[]) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.end();
    }
  };
  const { superuserUrl, migrationUrl, databaseUrl } = stack();
  // Also for the role in this database: that setting wins over the setting of the role alone.
  const owners = [`DATABASE ${name}`, `ROLE worldkeep_app IN DATABASE ${name}`];
  const set = (list: readonly Setting[]) =>
    query(
      superuserUrl,
      ...owners.flatMap((owner) => [
        `ALTER ${owner} RESET ALL`,
        ...list.map(([setting, value]) => `ALTER ${owner} SET ${setting} = ${quote(setting, value)}`),
      ]),
    );
  await query(migrationUrl, `CREATE DATABASE ${name}`);
  await query(
    within(migrationUrl),
    'CREATE SCHEMA elsewhere',
    'GRANT USAGE ON SCHEMA elsewhere TO PUBLIC',
    "CREATE VIEW elsewhere.spaces AS SELECT 'wrong' AS space_id",
    "CREATE FUNCTION elsewhere.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS 'SELECT $2'",
  );
  await set(settings);
  await migrate({ migrationUrl: within(migrationUrl) });
  const redis = await openOwnRedis('http');
  return {
    url: within(databaseUrl),
    redisEnv: redis.env,
    set,
    async drop() {
      await Promise.all([query(superuserUrl, `DROP DATABASE ${name} WITH (FORCE)`), redis.close()]);
    },
  };
}

function quote(setting: string, value: string): string {
  return setting === 'search_path' && value !== '' ? value : pg.escapeLiteral(value);
}

/** The answer to one request, without names and times that differ from run to run. */
export type Answered = [request: string, status: number, text: string];

/** Writes of every kind, then every kind of read. @returns all answers */
export async function askEverything(
  client: Client,
  databaseUrl: string,
  changes: TargetEnv = {},
): Promise<Answered[]> {
  // Neon's emulator keeps its connections. With another application name it opens new ones, which have these settings.
  const url = new URL(databaseUrl);
  if (client === 'Neon over HTTP') url.searchParams.set('application_name', uniqueName('settings'));
  const env = makeEnv({ DATABASE_URL: url.href, ...changes });
  const composition =
    client === 'pg over TCP' ? composeNode({ ...env, DATABASE_HTTP_URL: '' }) : composeWorker(env);
  const { persistence, apiKeys } = composition;
  const tenant = uniqueName('t');
  try {
    await persistence.ping();
    const { secret } = await apiKeys.issueFirst(tenant, { scopes: ['read', 'write', 'admin'] });
    const app = createApp(composition);
    const fetch = (path: string, init?: RequestInit) =>
      Promise.resolve(app.request(path, init, { remoteAddress: '127.0.0.1', cut: () => undefined }));
    const target = { fetch, address: null, lines: [], stop: async () => undefined };
    const answers: Answered[] = [];
    for (const [method, path, json, headers] of REQUESTS) {
      const { status, text } = await createCall(target, secret)(method, path, {
        ...(json !== undefined && { json }),
        ...(headers !== undefined && { headers }),
      });
      answers.push([`${method} ${path}`, status, sortKeys(path, normalise(text, tenant))]);
    }
    return answers;
  } finally {
    await composition.close();
  }
}

function normalise(text: string, tenant: string): string {
  return text
    .replaceAll(tenant, '<tenant>')
    .replaceAll(/"20[2-9]\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/g, '"<now>"')
    .replaceAll(/\b1[789]\d{14}\b/g, '<seq>')
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<uuid>')
    .replaceAll(/key_[0-9a-f]{16}/g, '<key>')
    .replaceAll(/"(secret|token|nextCursor)":"[^"]+"/g, '"$1":"<text>"')
    .replaceAll(/"(averageLatency|durabilityLagMs)":[\d.e-]+/g, '"$1":0');
}

/** Keys are listed by their random ids. */
function sortKeys(path: string, text: string): string {
  if (path !== '/v1/keys') return text;
  const { items } = JSON.parse(text) as { items?: object[] };
  if (items === undefined) return text;
  return items
    .map((key) => JSON.stringify(key))
    .sort()
    .join();
}

const NUMBERS = { x: 1.7976931348623157e308, y: 0.1 + 0.2, z: 5e-324 };
const TEXTS = { text: 'it\'s \\ "NULL" ü𝄞 \n', null: null, big: 1e300, small: 4.35, deep: [[{ a: 0.1 }]] };
const AT = '/v1/spaces/here';
const WAIT = { Prefer: 'wait' };

const REQUESTS: [method: string, path: string, json?: unknown, headers?: Record<string, string>][] = [
  ['PUT', AT, { name: "It's \\ here", settings: TEXTS, bounds: null }],
  ['PUT', '/v1/users/ann', { displayName: 'Änn \\', properties: TEXTS }],
  ['POST', '/v1/keys', { scopes: ['read'], expiresAt: '2999-02-03T04:05:06.789Z' }],
  ['POST', '/v1/sessions', { userId: 'ann', spaceId: 'here', role: 'owner' }],
  [
    'PUT',
    `${AT}/state`,
    {
      objects: [
        {
          id: 'a',
          position: NUMBERS,
          properties: TEXTS,
          createdAt: '2001-02-03T04:05:06.789Z',
          createdBy: 'x',
        },
        { id: 'NULL', name: 'NULL', scale: { x: 1 / 3, y: -0, z: 1e-7 }, parentId: 'a' },
      ],
      users: [{ id: 'ann', displayName: 'Änn', position: NUMBERS }],
      models: [{ id: 'm', url: 'https://models.example/m.glb' }],
      chat: [{ id: 'c', userId: 'ann', text: '\\n', createdAt: '1999-12-31T23:59:59.999Z' }],
    },
  ],
  ['PUT', `${AT}/objects/b`, { name: 'b\\', position: NUMBERS, properties: TEXTS }],
  [
    'PATCH',
    `${AT}/objects/b`,
    { properties: { small: null, more: 0.1 }, rotation: { x: 0, y: 0, z: 0.6, w: 0.8 } },
  ],
  ['PUT', `${AT}/objects/gone`, {}],
  ['DELETE', `${AT}/objects/gone`],
  [
    'POST',
    `${AT}/updates`,
    {
      ops: [
        { op: 'put', id: 'c', properties: TEXTS },
        { op: 'patch', id: 'a', position: { y: 1e21 } },
        { op: 'user.patch', id: 'ann', position: { x: 0.3, y: 0, z: 0 } },
        { op: 'delete', id: 'nobody' },
      ],
    },
    WAIT,
  ],
  ['GET', '/v1/spaces'],
  ['GET', AT],
  ['GET', `${AT}/state`],
  ['GET', `${AT}/state`],
  ['GET', `${AT}/state`, undefined, { Accept: 'application/x-ndjson' }],
  ['GET', `${AT}/state?min=-9,-9,-9&max=9,9,9`],
  ['GET', `${AT}/objects`],
  ['GET', `${AT}/objects/a`],
  ['GET', `${AT}/objects/b`],
  ['GET', `${AT}/objects/none`],
  ['GET', `${AT}/statistics`],
  ['GET', `${AT}/changes?since=0`],
  ['GET', `${AT}/changes`],
  ['GET', `${AT}/presence`],
  ['GET', '/v1/users/ann'],
  ['GET', '/v1/keys'],
  ['GET', '/v1/dead-letters'],
  ['GET', '/health'],
  ['GET', '/readyz'],
  ['DELETE', '/v1/users/ann'],
  ['GET', `${AT}/state`],
  // At the end, because the correction after a refused write would change the counts in later reads.
  ['PUT', `${AT}/objects/large`, { properties: { text: 'x'.repeat(66_000) } }],
  ['DELETE', AT],
  ['GET', AT],
];
