import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Log, LogLevel, Miniflare } from 'miniflare';
import worker from '../../functions/worker.ts';
import { stack, uniqueName } from '../support.ts';

/** One running copy of the functions. Tests see only its answers and its log. */
export interface Target {
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Its address; null in-process. */
  address: { host: string; port: number } | null;
  /** Every line of its log. */
  lines: readonly string[];
  stop(): Promise<void>;
}

export type TargetEnv = Record<string, string>;
export type StartTarget = (env: TargetEnv) => Promise<Target>;

const ROOT = resolve(import.meta.dirname, '../..');

/** An environment with the real stores and a new default tenant, without a cache for `/health`. */
export function makeEnv(changes: TargetEnv = {}): TargetEnv {
  const { databaseUrl, databaseHttpUrl, redisRestUrl, redisRestToken, sessionSigningKey } = stack();
  return {
    DATABASE_URL: databaseUrl,
    DATABASE_HTTP_URL: databaseHttpUrl,
    UPSTASH_REDIS_REST_URL: redisRestUrl,
    UPSTASH_REDIS_REST_TOKEN: redisRestToken,
    SESSION_SIGNING_KEY: sessionSigningKey,
    DEFAULT_TENANT_ID: uniqueName('default'),
    HEALTH_CACHE_SECONDS: '0',
    LOG_LEVEL: 'error',
    ...changes,
  };
}

/** The console lines of this process since `keepConsole`. */
const linesOfThisProcess: string[] = [];

/** Keeps the log of the functions away from the terminal. @returns a function that restores the console */
export function keepConsole(): () => void {
  const { log, error } = console;
  const keep = (line: unknown) => void linesOfThisProcess.push(String(line));
  Object.assign(console, { log: keep, error: keep });
  return () => void Object.assign(console, { log, error });
}

export const startInProcess: StartTarget = async (env) => ({
  fetch: async (path, init) => {
    const headers = new Headers(init?.headers);
    // A client over a network sends this header.
    if (typeof init?.body === 'string' && !headers.has('Content-Length'))
      headers.set('Content-Length', String(Buffer.byteLength(init.body)));
    return worker.fetch(
      new Request(`http://worldkeep.test${path}`, { ...init, ...streaming(init), headers }),
      env,
    );
  },
  address: null,
  lines: linesOfThisProcess,
  stop: async () => undefined,
});

let builtWorker: Promise<string> | undefined;

/** Builds the Worker once for all test files of this process. @returns the path of its one module */
export function buildWorkerOnce(): Promise<string> {
  builtWorker ??= buildWorker().then(({ path }) => {
    process.once('exit', () => rmSync(dirname(path), { recursive: true, force: true }));
    return path;
  });
  return builtWorker;
}

/** Builds the Worker as it is deployed. @returns the path of its one module; `remove` deletes it. */
export async function buildWorker(): Promise<{ path: string; remove(): Promise<void> }> {
  const outDir = await mkdtemp(join(tmpdir(), 'worldkeep-worker-'));
  const wrangler = join(ROOT, 'node_modules/wrangler/bin/wrangler.js');
  await promisify(execFile)(
    process.execPath,
    [wrangler, 'deploy', '--dry-run', '--env', '', '--outdir', outDir],
    { cwd: ROOT, env: { ...process.env, WRANGLER_SEND_METRICS: 'false' } },
  );
  return { path: join(outDir, 'worker.js'), remove: () => rm(outDir, { recursive: true, force: true }) };
}

/** Runs the built Worker in workerd, the runtime it is deployed to. */
export async function startWorkerd(workerPath: string, env: TargetEnv): Promise<Target> {
  const contents = await readFile(workerPath, 'utf8');
  const lines: string[] = [];
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    log: new Log(LogLevel.ERROR),
    handleStructuredLogs: ({ message }) => void lines.push(message),
    workers: [
      {
        config: {
          name: 'worldkeep',
          ...(await readCompatibility()),
          manifest: { mainModule: 'worker.js', modules: { 'worker.js': { type: 'esm', contents } } },
          env: {
            ...Object.fromEntries(
              Object.entries(env).map(([name, value]) => [name, { type: 'text' as const, value }]),
            ),
            ASSETS_BUCKET: { type: 'r2', name: 'assets' },
          },
        },
      },
    ],
  });
  const url = await miniflare.ready;
  return {
    fetch: (path, init) => fetch(new URL(path, url), { redirect: 'manual', ...init, ...streaming(init) }),
    address: { host: url.hostname, port: Number(url.port) },
    lines,
    stop: () => miniflare.dispose(),
  };
}

/** Reads which runtime a Worker asks for. */
export async function readCompatibility(
  file = join(ROOT, 'wrangler.toml'),
): Promise<{ compatibilityDate: string; compatibilityFlags: string[] }> {
  const text = await readFile(file, 'utf8');
  return {
    compatibilityDate: /^compatibility_date = "(.+)"$/m.exec(text)?.[1] ?? '',
    compatibilityFlags: JSON.parse(/^compatibility_flags = (.+)$/m.exec(text)?.[1] ?? '[]'),
  };
}

/** Node's fetch requires this option for a body that is a stream. */
function streaming(init: RequestInit | undefined): { duplex: 'half' } | object {
  return init?.body instanceof ReadableStream ? { duplex: 'half' } : {};
}
