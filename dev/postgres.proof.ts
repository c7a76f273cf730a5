import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { findFreePort } from './ports.ts';
import { type PostgresServer, startPostgres } from './postgres.ts';
import { readProcessStart } from './process.ts';
import { makeTemporaryDir } from './stack.ts';

let dir: string;
let dataDir: string;
let server: PostgresServer | undefined;
const servers: PostgresServer[] = [];

beforeAll(async () => {
  dir = await makeTemporaryDir();
  dataDir = join(dir, 'postgres');
});
afterEach(() => Promise.all(servers.splice(0).map((it) => it.kill())));
afterAll(() => rmSync(dir, { recursive: true }));

async function start(options: { port?: number; dataDir?: string } = {}): Promise<PostgresServer> {
  server = await startPostgres({
    dataDir,
    port: options.port ?? (await findFreePort(0)),
    durable: true,
    log: () => undefined,
    ...options,
    superuserPassword: 'pass word/with@signs',
    logFile: join(dir, 'postgres.log'),
  });
  servers.push(server);
  return server;
}

async function query<T extends pg.QueryResultRow>(text: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: server?.superuserUrl });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<T>(text);
  await client.end();
  return rows;
}

function canConnect(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1_000 });
    socket.on('connect', () => resolve(true));
    for (const event of ['error', 'timeout']) socket.on(event, () => resolve(false));
    socket.on('close', () => socket.destroy());
  });
}

describe('a Postgres', () => {
  it('keeps what is committed through SIGKILL, and leaves no process', async () => {
    await start();
    const pids = (await query<{ pid: number }>('SELECT pid FROM pg_stat_activity')).map(({ pid }) => pid);
    expect(pids.length).toBeGreaterThan(1);
    await query('CREATE TABLE kept AS SELECT 1 AS n');
    await server?.kill();
    expect([...pids, server?.pid ?? 0].filter((pid) => readProcessStart(pid) !== null)).toEqual([]);
    await start();
    expect(await query('SELECT n FROM kept')).toEqual([{ n: 1 }]);
    await server?.stop();
    expect(server?.process.ended()).toBe('exit code 0');
  });

  it('starts where the number in a stale lock file belongs to another process now', async () => {
    const lock = readFileSyncOr(join(dataDir, 'postmaster.pid'));
    expect(lock).toBe('');
    writeFileSync(join(dataDir, 'postmaster.pid'), `${process.pid}\n${dataDir}\n`);
    await start();
    expect(await query('SELECT n FROM kept')).toEqual([{ n: 1 }]);
  });

  it('ends a server that still runs on its data', async () => {
    const left = await start();
    await start();
    expect(readProcessStart(left.pid)).toBeNull();
    expect(await query('SELECT n FROM kept')).toEqual([{ n: 1 }]);
  });

  it('is of this machine alone, in UTC and UTF-8, and orders text by code point', async () => {
    const { port } = await start();
    const others = Object.values(networkInterfaces())
      .flat()
      .filter((it) => it?.family === 'IPv4' && !it.internal);
    for (const other of others) expect(await canConnect(other?.address ?? '', port)).toBe(false);
    expect(await canConnect('127.0.0.1', port)).toBe(true);
    const [row] =
      await query(`SELECT current_setting('timezone') AS timezone, current_setting('server_encoding') AS encoding,
      'a' > 'B' AS by_code_point, current_setting('unix_socket_directories') AS sockets`);
    expect(row).toEqual({ timezone: 'UTC', encoding: 'UTF8', by_code_point: true, sockets: '' });
  });
});

describe('a Postgres that cannot start', () => {
  it('says that its port is taken', async () => {
    const { port } = await start();
    const other = startPostgres({
      dataDir: join(dir, 'other'),
      port,
      durable: false,
      log: () => undefined,
      superuserPassword: 'x',
      logFile: join(dir, 'other.log'),
    });
    await expect(other).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it.each([
    ['a folder that is no data directory', null, 'is not a Postgres data directory'],
    ['another version’s data', '17\n', 'Postgres 17 created '],
    ['data that is damaged', '18\n', /Postgres did not start on .*: .*Its log is .*remove the folder/s],
  ])('says what to do with %s', async (_, version, message) => {
    const broken = join(dir, 'broken');
    mkdirSync(broken, { mode: 0o755 });
    if (version !== null) writeFileSync(join(broken, 'PG_VERSION'), version);
    await expect(start({ dataDir: broken })).rejects.toThrow(message);
    rmSync(broken, { recursive: true });
  });

  it.runIf(process.getuid?.() === 0)('says where root’s Postgres cannot reach its data', async () => {
    const closed = join(dir, 'closed');
    mkdirSync(join(closed, 'inner'), { recursive: true });
    chmodSync(closed, 0o700);
    await expect(start({ dataDir: join(closed, 'inner/postgres') })).rejects.toThrow(
      /^You are root, so Postgres runs as \w+, who cannot reach .*inner: move the project/,
    );
  });
});

function readFileSyncOr(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
