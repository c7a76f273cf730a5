import { type NeonDbError, type NeonQueryFunction, neon, neonConfig } from '@neondatabase/serverless';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { stack, uniqueName } from '../../test/support.ts';
import { type NeonEmulator, startNeonEmulator } from './neon.ts';

const { migrationUrl } = stack();
const postgresPort = Number(new URL(migrationUrl).port);
// A schema of its own: other tests look at every table in the public one.
const schema = uniqueName('neon').replaceAll('-', '_');
const table = `${schema}.notes`;
let emulator: NeonEmulator;
let sql: NeonQueryFunction<false, false>;
let direct: pg.Client;

beforeAll(async () => {
  emulator = await startNeonEmulator({ postgresPort, port: 0 });
  neonConfig.fetchEndpoint = () => emulator.sqlUrl;
  sql = neon(migrationUrl);
  direct = new pg.Client({ connectionString: migrationUrl });
  await direct.connect();
  await direct.query(`CREATE SCHEMA ${schema}`);
  await direct.query(`CREATE TABLE ${table} (id int PRIMARY KEY, note text CHECK (note <> 'bad'))`);
});
afterEach(() => emulator.faults.clear());
afterAll(async () => {
  await direct.query(`DROP SCHEMA ${schema} CASCADE`);
  await direct.end();
  await emulator.close();
});

async function failure(promise: Promise<unknown>): Promise<NeonDbError> {
  return promise.then(
    () => expect.fail('it was expected to fail'),
    (error: NeonDbError) => error,
  );
}

async function listIds(): Promise<number[]> {
  const { rows } = await direct.query<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`);
  return rows.map(({ id }) => id);
}

/** A request as the client would send it, for requests that the client never sends. */
function post(headers: Record<string, string>, body: string): Promise<Response> {
  return fetch(emulator.sqlUrl, {
    method: 'POST',
    body,
    headers: { 'Neon-Connection-String': migrationUrl, 'Neon-Raw-Text-Output': 'true', ...headers },
  });
}

describe('a single query', () => {
  it('brings values of every kind back', async () => {
    const rows = await sql`SELECT ${1}::int AS int, ${null}::text AS nothing, ${'ä'}::text AS text,
      ${[1, 2]}::int[] AS list, ${{ a: [1] }}::jsonb AS json, ${0.1}::float8 AS float, ${true}::bool AS bool,
      ${new Date(0)}::timestamptz = 'epoch' AS at, ${Buffer.from([0, 255])}::bytea AS bytes, ${'{"x y",NULL}'}::text[] AS texts`;
    expect(rows).toEqual([
      {
        int: 1,
        nothing: null,
        text: 'ä',
        list: [1, 2],
        json: { a: [1] },
        float: 0.1,
        bool: true,
        at: true,
        bytes: Buffer.from([0, 255]),
        texts: ['x y', null],
      },
    ]);
  });

  it('describes its fields, counts its rows and names its command', async () => {
    const options = { fullResults: true, arrayMode: true } as const;
    const result = await sql.query(`INSERT INTO ${table} (id) VALUES (1), (2) RETURNING id`, [], options);
    expect(result).toMatchObject({ command: 'INSERT', rowCount: 2, rowAsArray: true, rows: [[1], [2]] });
    expect(result.fields).toEqual([
      {
        name: 'id',
        dataTypeID: 23,
        tableID: expect.any(Number),
        columnID: 1,
        dataTypeSize: 4,
        dataTypeModifier: -1,
        format: 'text',
      },
    ]);
    const deleted = await sql.query(`DELETE FROM ${table}`, [], { fullResults: true });
    expect(deleted).toMatchObject({ command: 'DELETE', rowCount: 2, rows: [], fields: [] });
    const set = await sql.query(`SET work_mem = '4MB'`, [], { fullResults: true });
    expect(set).toMatchObject({ command: 'SET', rowCount: null });
  });

  it('is one statement: several fail, and none is run', async () => {
    const error = await failure(sql.query(`INSERT INTO ${table} (id) VALUES (1); SELECT 1`));
    expect(error).toMatchObject({
      code: '42601',
      message: 'cannot insert multiple commands into a prepared statement',
    });
    expect(await listIds()).toEqual([]);
  });

  it('takes nothing of its session over to the next', async () => {
    await sql.query(`SET application_name = 'left behind'`);
    await sql.query('CREATE TEMPORARY TABLE left_behind ()');
    await sql.query('BEGIN');
    const rows = await sql.query(
      `SELECT current_setting('application_name') AS name, to_regclass('left_behind') AS found`,
    );
    expect(rows).toEqual([{ name: expect.stringContaining('serverless'), found: null }]);
  });

  it('may be empty', async () => {
    expect(await sql.query('')).toEqual([]);
  });

  it('gives rows as objects where array mode is off', async () => {
    const response = await post({}, JSON.stringify({ query: 'SELECT 1 AS a, NULL AS b' }));
    expect(await response.json()).toMatchObject({ rowAsArray: false, rows: [{ a: '1', b: null }] });
  });

  it('refuses COPY, and goes on', async () => {
    await expect(sql.query(`COPY ${table} FROM STDIN`)).rejects.toThrow('COPY');
    expect(await sql`SELECT 1 AS one`).toEqual([{ one: 1 }]);
  });
});

describe('a batch', () => {
  it('is one transaction, rolled back where a statement fails', async () => {
    const error = await failure(
      sql.transaction([
        sql.query(`INSERT INTO ${table} (id) VALUES (10)`),
        sql.query(`INSERT INTO ${table} (id, note) VALUES (11, 'bad')`),
        // Behind the failure nothing is run, whatever it would do to the transaction.
        sql.query('COMMIT'),
        sql.query(`INSERT INTO ${table} (id) VALUES (12)`),
      ]),
    );
    expect(error).toMatchObject({ code: '23514', constraint: 'notes_note_check' });
    expect(await listIds()).toEqual([]);
    expect(await sql`SELECT 1 AS one`).toEqual([{ one: 1 }]);
  });

  it('keeps set_config(…, true) for the rest of it, and not beyond', async () => {
    const [, inside] = await sql.transaction([
      sql`SELECT set_config('app.tenant_id', 't1', true)`,
      sql`SELECT current_setting('app.tenant_id', true) AS tenant`,
    ]);
    expect(inside).toEqual([{ tenant: 't1' }]);
    const after = await sql`SELECT nullif(current_setting('app.tenant_id', true), '') AS tenant`;
    expect(after).toEqual([{ tenant: null }]);
  });

  it('gives each statement its own result', async () => {
    const results = await sql.transaction([
      sql.query('SELECT 1 AS a', []),
      sql.query('SELECT 2 AS b, 3 AS c', []),
    ]);
    expect(results).toEqual([[{ a: 1 }], [{ b: 2, c: 3 }]]);
    const asArrays = await sql.transaction([sql`SELECT 1 AS a, 2 AS b`], { arrayMode: true });
    expect(asArrays).toEqual([[[1, 2]]]);
    expect(await sql.transaction([])).toEqual([]);
  });

  it.each([
    ['ReadUncommitted', 'read uncommitted'],
    ['ReadCommitted', 'read committed'],
    ['RepeatableRead', 'repeatable read'],
    ['Serializable', 'serializable'],
  ] as const)('runs at %s', async (isolationLevel, level) => {
    const show = [
      sql`SHOW transaction_isolation`,
      sql`SHOW transaction_read_only`,
      sql`SHOW transaction_deferrable`,
    ];
    expect(await sql.transaction(show, { isolationLevel, readOnly: true, deferrable: true })).toEqual([
      [{ transaction_isolation: level }],
      [{ transaction_read_only: 'on' }],
      [{ transaction_deferrable: 'on' }],
    ]);
  });

  it('fails at COMMIT where Serializable transactions cannot be ordered', async () => {
    await direct.query(`INSERT INTO ${table} (id) VALUES (20)`);
    await direct.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
    await direct.query(`SELECT count(*) FROM ${table}`);
    const count = `INSERT INTO ${table} (id) SELECT 21 + count(*) FROM ${table}`;
    await sql.transaction([sql.query(count)], { isolationLevel: 'Serializable' });
    await expect(
      direct.query(`INSERT INTO ${table} (id) VALUES (30)`).then(() => direct.query('COMMIT')),
    ).rejects.toMatchObject({
      code: '40001',
    });
    await direct.query('ROLLBACK');
    await direct.query(`DELETE FROM ${table}`);
  });

  it('refuses to write where it is read-only, and an unknown isolation level', async () => {
    const write = sql.transaction([sql.query(`INSERT INTO ${table} (id) VALUES (1)`)], { readOnly: true });
    expect(await failure(write)).toMatchObject({ code: '25006' });
    const response = await post({ 'Neon-Batch-Isolation-Level': 'Snapshot' }, '{"queries":[]}');
    expect([response.status, await response.json()]).toMatchObject([
      400,
      { message: 'invalid isolation level' },
    ]);
  });
});

describe('errors', () => {
  it('have all the fields Postgres gives', async () => {
    await direct.query(`INSERT INTO ${table} (id) VALUES (1)`);
    const error = await failure(sql.query(`INSERT INTO ${table} (id) VALUES ($1)`, [1]));
    await direct.query(`DELETE FROM ${table}`);
    expect(error).toMatchObject({
      name: 'NeonDbError',
      code: '23505',
      severity: 'ERROR',
      schema,
      table: 'notes',
      constraint: 'notes_pkey',
      detail: 'Key (id)=(1) already exists.',
      routine: expect.any(String),
    });
    expect(await failure(sql.query('SELECT nothing'))).toMatchObject({ code: '42703', position: '8' });
  });

  it('say what is wrong with a connection string', async () => {
    const ask = (url: string) => failure(neon(url)`SELECT 1`);
    const wrong = new URL(migrationUrl);
    wrong.password = 'wrong';
    expect(await ask(wrong.href)).toMatchObject({
      message: "password authentication failed for user 'worldkeep_owner'",
      code: '',
    });
    const elsewhere = new URL(migrationUrl);
    elsewhere.pathname = '/nowhere';
    expect(await ask(elsewhere.href)).toMatchObject({ code: '3D000' });
    for (const [header, message] of [
      ['mysql://u:p@h/d', 'incorrect scheme'],
      ['postgres://u:p@h', 'missing database name'],
      ['postgres://u@h/d', 'missing authentication credentials: required password'],
      ['here', 'invalid connection string: relative URL without a base'],
    ] as const) {
      const response = await post({ 'Neon-Connection-String': header }, '{"query":"SELECT 1"}');
      expect([response.status, await response.json()]).toMatchObject([400, { message }]);
    }
  });

  it.each(['{', '{}', '{"query":1}', '{"query":"SELECT $1","params":[{}]}'])(
    'refuse the body %s',
    async (body) => {
      const response = await post({}, body);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ message: expect.stringContaining('could not parse') });
    },
  );

  it('keep to Neon’s limits: 65,535 parameters, 10 MiB each way', async () => {
    const params = Array.from({ length: 65_536 }, () => 1);
    await expect(sql.query('SELECT 1', params)).rejects.toThrow('value too large to transmit');
    const mebibytes = (count: number) => 'x'.repeat(count * 1024 * 1024);
    await expect(sql.query('SELECT length($1)', [mebibytes(11)])).rejects.toThrow('HTTP status 413');
    expect(await sql.query('SELECT length($1::text) AS n', [mebibytes(9)])).toEqual([{ n: 9 * 1024 * 1024 }]);
    const [large] = await sql`SELECT repeat('x', 9 * 1024 * 1024) AS x`;
    expect(large?.x).toHaveLength(9 * 1024 * 1024);
    const tooLarge = sql.transaction([
      sql.query(`INSERT INTO ${table} (id) VALUES (1)`),
      sql`SELECT repeat('x', 1024) FROM generate_series(1, 11 * 1024)`,
    ]);
    await expect(tooLarge).rejects.toThrow('HTTP status 507');
    expect(await listIds()).toEqual([]);
  });

  it('tell a connection that ended under the query, and one that could not be made', async () => {
    const ended = await failure(sql`SELECT pg_terminate_backend(pg_backend_pid())`);
    expect(ended).toMatchObject({ code: '57P01' });
    expect(await sql`SELECT 1 AS one`).toEqual([{ one: 1 }]);
    const nowhere = await startNeonEmulator({ postgresPort: 1, port: 0 });
    neonConfig.fetchEndpoint = () => nowhere.sqlUrl;
    await expect(sql`SELECT 1`).rejects.toThrow('HTTP status 500');
    neonConfig.fetchEndpoint = () => emulator.sqlUrl;
    await nowhere.close();
  });
});

describe('many requests', () => {
  it('share a bounded number of connections', async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) => sql`SELECT ${n}::int AS n, pg_backend_pid() AS pid`),
    );
    expect(answers.map(([row]) => row?.n)).toEqual(Array.from({ length: 200 }, (_, n) => n));
    expect(new Set(answers.map(([row]) => row?.pid)).size).toBeLessThanOrEqual(20);
  });

  it('end the query of a client that has gone', async () => {
    const marker = uniqueName('gone');
    const query = neon(migrationUrl, { fetchOptions: { signal: AbortSignal.timeout(200) } });
    await expect(query.query(`SELECT pg_sleep(60) /* ${marker} */`)).rejects.toThrow();
    await expect
      .poll(async () => {
        const active = `SELECT FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%${marker}%'`;
        return (await direct.query(active)).rowCount;
      })
      .toBe(0);
  });
});

describe('faults', () => {
  it('refuse before, and drop the reply after, the statement', async () => {
    emulator.faults.inject({ kind: 'refuse', times: 1 });
    await expect(sql.query(`INSERT INTO ${table} (id) VALUES (1)`)).rejects.toThrow('Error connecting');
    expect(await listIds()).toEqual([]);
    emulator.faults.inject({ kind: 'drop-reply', times: 1, match: 'INSERT' });
    await expect(sql.query(`INSERT INTO ${table} (id) VALUES (1)`)).rejects.toThrow('Error connecting');
    expect(await listIds()).toEqual([1]);
    emulator.faults.inject({ kind: 'refuse', status: 503, times: 1 });
    await expect(sql.query('SELECT 1')).rejects.toThrow('HTTP status 503');
    await direct.query(`DELETE FROM ${table}`);
  });
});
