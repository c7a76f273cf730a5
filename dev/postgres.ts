import { execFile } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Account, checkReachable, chooseAccount, findPostgresBinaries } from './postgres-binaries.ts';
import {
  killProcess,
  killTree,
  readCommandLine,
  type StartedProcess,
  startProcess,
  stopProcess,
} from './process.ts';

export interface PostgresOptions {
  /** Made where it is not there. */
  dataDir: string;
  port: number;
  /** Of the superuser `postgres`; taken when the data directory is made, and needed again every time. */
  superuserPassword: string;
  logFile: string;
  /** False only for data that nobody needs after a crash: no fsync. */
  durable: boolean;
  log(line: string): void;
  /** Told of the process before it is ready. */
  onSpawn?(started: StartedProcess): void;
}

export interface PostgresServer {
  process: StartedProcess;
  pid: number;
  port: number;
  /** `postgresql://postgres:…@127.0.0.1:PORT/postgres` */
  superuserUrl: string;
  /** A fast shutdown: open transactions are rolled back, what is committed is on disk. */
  stop(): Promise<void>;
  /** Sends SIGKILL to the postmaster and all its children together, as a power cut. */
  kill(): Promise<void>;
}

const MAJOR_VERSION = '18';
const STOP_GRACE_MS = 20_000;
/** Long, for a recovery after a crash may have much to read; a server that cannot start ends by itself. */
const START_MS_MAX = 120_000;
const POLL_MS = 25;
const EMPTY_ENV = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };

/** Starts Postgres on 127.0.0.1, after making its files on the first start. Errors are sentences that say what to do. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { dataDir, port } = options;
  const binaries = findPostgresBinaries();
  const account = chooseAccount(dataDir);
  mkdirSync(dirname(dataDir), { recursive: true });
  checkReachable(account, [binaries.initdb, binaries.postgres], [dirname(dataDir)]);
  if (existsSync(dataDir)) {
    checkDataDir(dataDir);
    await endLeftover(dataDir);
  } else {
    options.log('making the database files');
    await makeDataDir(options, binaries.initdb, account);
  }
  const started = await startProcess({
    name: 'postgres',
    command: binaries.postgres,
    args: ['-D', dataDir, '-p', String(port), ...listSettings(options.durable).flatMap((it) => ['-c', it])],
    env: EMPTY_ENV,
    cwd: '/',
    logFile: options.logFile,
    lastSignal: 'SIGQUIT',
    ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
  });
  options.onSpawn?.(started);
  await waitUntilReady(started, options);
  return {
    process: started,
    pid: started.pid,
    port,
    superuserUrl: `postgresql://postgres:${encodeURIComponent(options.superuserPassword)}@127.0.0.1:${port}/postgres`,
    stop: () => stopProcess(started, 'SIGINT', STOP_GRACE_MS),
    kill: () => killProcess(started),
  };
}

function listSettings(durable: boolean): string[] {
  return [
    'listen_addresses=127.0.0.1',
    // No socket file: two projects, or two users, would meet in /tmp.
    'unix_socket_directories=',
    'lc_messages=C',
    'timezone=UTC',
    'log_timezone=UTC',
    'max_connections=200',
    'shared_buffers=128MB',
    ...(durable ? [] : ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off']),
  ];
}

function checkDataDir(dataDir: string): void {
  const versionFile = join(dataDir, 'PG_VERSION');
  const version = existsSync(versionFile) ? readFileSync(versionFile, 'utf8').trim() : null;
  if (version === MAJOR_VERSION) return;
  throw new Error(
    version === null || version === ''
      ? `${dataDir} is not a Postgres data directory (PG_VERSION is missing): put back its files, or remove it to begin with an empty database.`
      : `Postgres ${version} created ${dataDir}, but this is Postgres ${MAJOR_VERSION}. Move the data with pg_dump of that version, or delete the folder to start empty.`,
  );
}

/** Ends a server that an earlier run left on this data, and removes a lock file that no server holds. */
async function endLeftover(dataDir: string): Promise<void> {
  const lockFile = join(dataDir, 'postmaster.pid');
  if (!existsSync(lockFile)) return;
  const pid = Number(readFileSync(lockFile, 'utf8').split('\n')[0]);
  const command = Number.isInteger(pid) && pid > 1 ? readCommandLine(pid) : null;
  if (command?.includes(`-D ${dataDir} `)) await killTree(pid);
  // Postgres itself would take any process that has this number now for a server, and refuse to start.
  rmSync(lockFile, { force: true });
}

async function makeDataDir(
  options: PostgresOptions,
  initdb: string,
  account: Account | undefined,
): Promise<void> {
  const { dataDir } = options;
  const parent = dirname(dataDir);
  // Under another name until it is whole: a start that is interrupted leaves nothing half made.
  const prefix = `${dataDir}.new-`;
  for (const name of readdirSync(parent))
    if (join(parent, name).startsWith(prefix)) rmSync(join(parent, name), { recursive: true, force: true });
  const making = `${prefix}${process.pid}`;
  const passwordFile = `${prefix}password`;
  mkdirSync(making, { mode: 0o700 });
  writeFileSync(passwordFile, `${options.superuserPassword}\n`, { mode: 0o600 });
  if (account !== undefined)
    for (const path of [making, passwordFile]) chownSync(path, account.uid, account.gid);
  try {
    await promisify(execFile)(
      initdb,
      [
        ...['-D', making, '--username=postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`],
        // Code point order everywhere, whatever locales the machine has.
        ...['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
        ...(options.durable ? [] : ['--no-sync']),
      ],
      {
        env: EMPTY_ENV,
        cwd: '/',
        ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
      },
    );
    renameSync(making, dataDir);
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
    throw new Error(`The database files could not be made in ${dataDir}: ${said}`, { cause: error });
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

/** The postmaster writes its state into the eighth line of its lock file; `pg_ctl` waits for the same. */
async function waitUntilReady(started: StartedProcess, options: PostgresOptions): Promise<void> {
  const lockFile = join(options.dataDir, 'postmaster.pid');
  for (let waitedMs = 0; waitedMs < START_MS_MAX; waitedMs += POLL_MS) {
    if (started.ended() !== null) throw explainFailure(options);
    const lines = existsSync(lockFile) ? readFileSync(lockFile, 'utf8').split('\n') : [];
    if (Number(lines[0]) === started.pid && lines[7]?.trim() === 'ready') return;
    await delay(POLL_MS);
  }
  await killProcess(started);
  throw new Error(`Postgres was not ready after ${START_MS_MAX / 1000} s; its log is ${options.logFile}.`);
}

function explainFailure({ dataDir, logFile, port }: PostgresOptions): Error {
  const log = readFileSync(logFile, 'utf8');
  if (log.includes('Address already in use'))
    return Object.assign(new Error(`Postgres could not listen on port ${port}: it is taken.`), {
      code: 'EADDRINUSE',
    });
  const reason = /(?:FATAL|PANIC):\s*(.*)/.exec(log)?.[1] ?? 'it gave no reason';
  return new Error(
    `Postgres did not start on ${dataDir}: ${reason}. Its log is ${logFile}; if the data is damaged beyond repair, remove the folder to begin with an empty database.`,
  );
}
