import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CONFIG_VARIABLES, type ConfigVariable } from '../src/config.ts';
import {
  killProcess,
  listDescendants,
  readCommandLine,
  readProcessStart,
  type StartedProcess,
  startProcess,
  stopProcess,
} from './process.ts';
import type { StackValues } from './stack.ts';

export type WorkerVariables = Partial<Record<ConfigVariable, string>>;

export interface WorkerOptions {
  /** Holds the Worker's variables, its state and its log. */
  dir: string;
  port: number;
  variables: WorkerVariables;
  /** Told of the process before it answers. */
  onSpawn?(started: StartedProcess): void;
  log?(line: string): void;
  /** Gives up a start that is under way: it rejects. */
  signal?: AbortSignal;
}

export interface DevWorker {
  process: StartedProcess;
  pid: number;
  port: number;
  /** Settles with how it died: wrangler ended, or does not answer after one of its workerd processes ended. */
  died: Promise<string>;
  /** `http://127.0.0.1:PORT` */
  url: string;
  stop(): Promise<void>;
  /** Sends SIGKILL to wrangler and workerd together. */
  kill(): Promise<void>;
}

const PROJECT = resolve(import.meta.dirname, '..');
const START_MS_MAX = 60_000;
const STOP_GRACE_MS = 5_000;
const POLL_MS = 50;
const RUNTIME_CHECK_MS = 1_000;
/** Milliseconds that wrangler has to replace a workerd process that is gone. */
const RECOVERY_MS_MAX = 5_000;
const LOG_LINES_SHOWN_MAX = 15;
/** The variables that wrangler needs. All others could reach the Worker. */
const PASSED_ON = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS'];

/** The variables that let a Worker speak to a stack. */
export function buildWorkerVariables(values: StackValues): WorkerVariables {
  return {
    DATABASE_URL: values.databaseUrl,
    DATABASE_HTTP_URL: values.databaseHttpUrl,
    UPSTASH_REDIS_REST_URL: values.redisRestUrl,
    UPSTASH_REDIS_REST_TOKEN: values.redisRestToken,
    QSTASH_URL: values.qstashUrl,
    QSTASH_TOKEN: values.qstashToken,
    QSTASH_CURRENT_SIGNING_KEY: values.qstashCurrentSigningKey,
    QSTASH_NEXT_SIGNING_KEY: values.qstashNextSigningKey,
    METRICS_TOKEN: values.metricsToken,
    SESSION_SIGNING_KEY: values.sessionSigningKey,
    SESSION_SIGNING_KEY_PREVIOUS: '',
  };
}

/** Runs the Worker under `wrangler dev` on 127.0.0.1, and waits until it answers. */
export async function startWorker(options: WorkerOptions): Promise<DevWorker> {
  const { dir, port } = options;
  mkdirSync(dir, { recursive: true });
  const envFile = join(dir, 'worker.env');
  const url = `http://127.0.0.1:${port}`;
  // A file of its owner, not arguments: those can be read by every user of the machine.
  writeFileSync(envFile, formatEnv({ PUBLIC_URL: url, ...options.variables }), { mode: 0o600 });
  const logFile = join(dir, 'worker.log');
  // After a crash, the log of the run before says why.
  if (existsSync(logFile)) renameSync(logFile, `${logFile}.previous`);
  const wrangler = join(
    dirname(createRequire(import.meta.url).resolve('wrangler/package.json')),
    'bin/wrangler.js',
  );
  const started = await startProcess({
    name: 'worker',
    command: process.execPath,
    args: [
      ...[wrangler, 'dev', '--local', '--ip', '127.0.0.1', '--port', String(port)],
      ...['--inspector-ip', '127.0.0.1', '--inspector-port', '0', '--show-interactive-dev-session=false'],
      ...['--env-file', envFile, '--persist-to', join(dir, 'wrangler'), '--log-level', 'log'],
    ],
    env: {
      ...Object.fromEntries(PASSED_ON.map((name) => [name, process.env[name]])),
      WRANGLER_SEND_METRICS: 'false',
      WRANGLER_WRITE_LOGS: 'false',
      WRANGLER_HIDE_BANNER: 'true',
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
      NO_COLOR: '1',
    },
    cwd: PROJECT,
    logFile,
    lastSignal: 'SIGKILL',
  });
  options.onSpawn?.(started);
  const giveUp = () => void killProcess(started);
  options.signal?.addEventListener('abort', giveUp, { once: true });
  await waitUntilAnswering(started, url, logFile);
  options.signal?.removeEventListener('abort', giveUp);
  return {
    process: started,
    pid: started.pid,
    port,
    died: waitUntilDead(started, url, options.log ?? (() => undefined)),
    url,
    stop: () => stopProcess(started, 'SIGTERM', STOP_GRACE_MS),
    kill: () => killProcess(started),
  };
}

/**
 * wrangler replaces a workerd when the code changes or a workerd crashes. After a crash of its proxy it goes on without ever
 * answering again.
 */
async function waitUntilDead(
  started: StartedProcess,
  url: string,
  log: (line: string) => void,
): Promise<string> {
  let runtimes = listRuntimes(started.pid);
  for (;;) {
    await delay(RUNTIME_CHECK_MS);
    const ended = started.ended();
    if (ended !== null) return `wrangler ended with ${ended}`;
    if (runtimes.every(isRunning)) continue;
    if (!(await isAnswering(started, url, RECOVERY_MS_MAX)))
      return `a workerd process ended, and nothing has answered for ${RECOVERY_MS_MAX / 1_000} s`;
    log('wrangler has replaced a workerd process');
    runtimes = listRuntimes(started.pid);
  }
}

function isRunning(pid: number): boolean {
  return readProcessStart(pid) !== null;
}

function listRuntimes(wranglerPid: number): number[] {
  return listDescendants(wranglerPid).filter((pid) => /\/workerd serve /.test(readCommandLine(pid) ?? ''));
}

function formatEnv(variables: WorkerVariables): string {
  return (Object.keys(CONFIG_VARIABLES) as ConfigVariable[])
    .flatMap((name) => {
      const value = variables[name];
      return value === undefined ? [] : [`${name}='${value}'\n`];
    })
    .join('');
}

async function waitUntilAnswering(started: StartedProcess, url: string, logFile: string): Promise<void> {
  // A Worker that does not build waits for the next change; here nobody would see why.
  const hasFailed = () => /\[ERROR\]/.test(readFileSync(logFile, 'utf8'));
  if (await isAnswering(started, url, START_MS_MAX, hasFailed)) return;
  const how = started.ended() ?? 'it does not answer';
  await killProcess(started);
  const lines = readFileSync(logFile, 'utf8').trim().split('\n').slice(-LOG_LINES_SHOWN_MAX);
  throw new Error(`The Worker did not start (${how}). The end of its log, ${logFile}:\n${lines.join('\n')}`);
}

async function isAnswering(
  started: StartedProcess,
  url: string,
  timeoutMs: number,
  hasFailed = () => false,
): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (started.ended() === null && Date.now() < deadline) {
    if (await isAlive(url)) return true;
    if (hasFailed()) return false;
    await delay(POLL_MS);
  }
  return false;
}

async function isAlive(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/livez`, { signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
