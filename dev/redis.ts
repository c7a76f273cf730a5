import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findProgram, REDIS } from './fetch-program.ts';
import { killProcess, type StartedProcess, startProcess, stopProcess } from './process.ts';

export interface RedisOptions {
  /** Holds the append-only file; made where it is not there. */
  dataDir: string;
  /** Where a Redis that had to be fetched is kept. */
  cacheDir: string;
  port: number;
  password: string;
  logFile: string;
  /** Lines of its configuration, behind the usual ones. */
  settings?: readonly string[];
  /** False only for data that nobody needs after a crash of the machine: no fsync. */
  durable: boolean;
  log(line: string): void;
  /** Told of the process before it is ready. */
  onSpawn?(started: StartedProcess): void;
}

export interface RedisServer {
  process: StartedProcess;
  pid: number;
  port: number;
  /** `redis://:PASSWORD@127.0.0.1:PORT` */
  url: string;
  stop(): Promise<void>;
  /** SIGKILL, as a power cut. */
  kill(): Promise<void>;
}

const STOP_GRACE_MS = 10_000;
/** Long, for a large append-only file is read before the first answer; a server that cannot start ends by itself. */
const START_MS_MAX = 120_000;
const POLL_MS = 25;
const PING_MS_MAX = 1_000;

/** Starts Redis (or Valkey) on 127.0.0.1, fetching it first where needed. Errors are sentences that say what to do. */
export async function startRedis(options: RedisOptions): Promise<RedisServer> {
  const program = await findProgram(REDIS, options.cacheDir, options.log);
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  const configFile = join(options.dataDir, 'redis.conf');
  writeFileSync(configFile, buildConfig(options), { mode: 0o600 });
  const started = await startProcess({
    name: 'redis',
    command: program.path,
    args: [configFile],
    env: program.env,
    cwd: options.dataDir,
    logFile: options.logFile,
    lastSignal: 'SIGTERM',
  });
  options.onSpawn?.(started);
  await waitUntilReady(started, options);
  return {
    process: started,
    pid: started.pid,
    port: options.port,
    url: `redis://:${encodeURIComponent(options.password)}@127.0.0.1:${options.port}`,
    stop: () => stopProcess(started, 'SIGTERM', STOP_GRACE_MS),
    kill: () => killProcess(started),
  };
}

function buildConfig({ dataDir, port, password, durable, settings = [] }: RedisOptions): string {
  return [
    `port ${port}`,
    'bind 127.0.0.1',
    `requirepass ${password}`,
    `dir ${JSON.stringify(dataDir)}`,
    'daemonize no',
    'save ""',
    'appendonly yes',
    // `everysec` puts off even the write() while an earlier fsync runs, so a SIGKILL then loses what was
    // answered. `always` is one fsync for all commands of a turn. `no` also writes before it answers: a killed process survives that, and a
    // machine without power does not.
    `appendfsync ${durable ? 'always' : 'no'}`,
    'maxmemory-policy noeviction',
    ...settings,
    '',
  ].join('\n');
}

async function waitUntilReady(started: StartedProcess, options: RedisOptions): Promise<void> {
  for (let waitedMs = 0; waitedMs < START_MS_MAX; waitedMs += POLL_MS) {
    if (started.ended() !== null) throw explainFailure(options);
    if (await isReady(started.pid, options)) return;
    await delay(POLL_MS);
  }
  await killProcess(started);
  throw new Error(`Redis was not ready after ${START_MS_MAX / 1000} s; its log is ${options.logFile}.`);
}

/**
 * @returns true when our server, and no other that has the port, takes the password and has read its file.
 * Asked of the server itself: one that an earlier run left on this port would answer just as well.
 */
function isReady(pid: number, { port, password }: RedisOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let reply = '';
    socket.setTimeout(PING_MS_MAX, () => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('close', () =>
      resolve(reply.startsWith('+OK\r\n+PONG\r\n') && reply.includes(`\r\nprocess_id:${pid}\r\n`)),
    );
    socket.on('data', (chunk) => {
      reply += chunk.toString();
    });
    socket.write(`AUTH ${password}\r\nPING\r\nINFO server\r\nQUIT\r\n`);
  });
}

function explainFailure({ dataDir, logFile, port }: RedisOptions): Error {
  const log = readFileSync(logFile, 'utf8').trim();
  if (log.includes('Address already in use'))
    return Object.assign(new Error(`Redis could not listen on port ${port}: it is taken.`), {
      code: 'EADDRINUSE',
    });
  const reason = log.split('\n').findLast((line) => /#|Bad file|error/i.test(line)) ?? 'it gave no reason';
  return new Error(
    `Redis did not start on ${dataDir}: ${reason.replace(/^\S+ \d+ \w+ \d+ \S+ [#*] /, '')}. Its log is ${logFile}; if the data is damaged beyond repair, remove the folder to begin with an empty Redis.`,
  );
}
