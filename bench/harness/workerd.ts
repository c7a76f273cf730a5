import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findFreePort } from '../../dev/ports.ts';
import { killProcess, startProcess, stopProcess } from '../../dev/process.ts';
import { makeDir, removeDir } from './temporary-dir.ts';

/** The workerd of wrangler and Miniflare. */
const workerdPath = findWorkerd();
const START_MS_MAX = 30_000;
const STOP_GRACE_MS = 5_000;
const POLL_MS = 10;
const LOG_SHOWN_LENGTH_MAX = 2_000;
const WRANGLER_TOML = resolve(import.meta.dirname, '../../wrangler.toml');

export interface WorkerdOptions {
  /** The path of the Worker's one module. */
  modulePath: string;
  /** Returns the Worker's variables for its own address. */
  buildVariables(url: string): Readonly<Record<string, string>>;
  /** The class of its Durable Objects with SQLite, bound under its own name; null: it has none. */
  durableObjectClass: string | null;
  /** Opens an inspector, for profiles. */
  inspector?: boolean;
  /** A path that answers as soon as the Worker can serve. */
  readyPath: string;
}

export interface Workerd {
  url: string;
  pid: number;
  /** The address of its inspector, or null. */
  inspectorUrl: string | null;
  /** The lines of its log so far. */
  readLog(): string;
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

/**
 * Runs a module directly in workerd, without wrangler, a proxy or a process of another runtime. It has the compatibility
 * date and flags of wrangler.toml. Its log goes to a file.
 */
export async function startWorkerd(options: WorkerdOptions): Promise<Workerd> {
  const dir = makeDir();
  const port = await findFreePort(0);
  const url = `http://127.0.0.1:${port}`;
  const inspector = options.inspector ? `127.0.0.1:${await findFreePort(0, new Set([port]))}` : null;
  const configFile = join(dir, 'workerd.capnp');
  const logFile = join(dir, 'workerd.log');
  mkdirSync(join(dir, 'objects'));
  // Only the owner may read the file: it holds passwords.
  writeFileSync(configFile, buildConfig(options, dir, url), { mode: 0o600 });
  writeFileSync(join(dir, basename(options.modulePath)), readFileSync(options.modulePath));
  const started = await startProcess({
    name: 'workerd',
    command: workerdPath,
    logFile,
    args: ['serve', ...(inspector === null ? [] : ['--inspector-addr', inspector]), configFile],
    lastSignal: 'SIGKILL',
  });
  const end = async (ending: Promise<void>) => {
    await ending;
    removeDir(dir);
  };
  const worker: Workerd = {
    url,
    pid: started.pid,
    inspectorUrl: inspector && `http://${inspector}`,
    readLog: () => readFileSync(logFile, 'utf8'),
    stop: () => end(stopProcess(started, 'SIGTERM', STOP_GRACE_MS)),
    kill: () => end(killProcess(started)),
  };
  for (const startedAt = performance.now(); ; await delay(POLL_MS)) {
    const answer = await fetch(new URL(options.readyPath, url)).catch(() => null);
    await answer?.body?.cancel();
    if (answer?.ok) return worker;
    if (started.ended() === null && performance.now() - startedAt < START_MS_MAX) continue;
    const log = worker.readLog().slice(-LOG_SHOWN_LENGTH_MAX);
    await worker.kill();
    throw new Error(`workerd did not serve (${started.ended()}, ${answer?.status ?? 'no answer'}): ${log}`);
  }
}

function buildConfig(
  { modulePath, buildVariables, durableObjectClass }: WorkerdOptions,
  dir: string,
  url: string,
): string {
  const { compatibilityDate: date, compatibilityFlags: flags } = readCompatibility();
  const bindings = Object.entries(buildVariables(url)).map(
    ([name, value]) => `(name = ${quote(name)}, text = ${quote(value)})`,
  );
  if (durableObjectClass !== null)
    bindings.push(
      `(name = ${quote(durableObjectClass)}, durableObjectNamespace = ${quote(durableObjectClass)})`,
    );
  const objects =
    durableObjectClass === null
      ? ''
      : `durableObjectNamespaces = [(className = ${quote(durableObjectClass)}, uniqueKey = "bench", enableSql = true)],
    durableObjectStorage = (localDisk = "objects"),`;
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "internet", network = (allow = ["public", "private"])),
    (name = "objects", disk = (path = ${quote(join(dir, 'objects'))}, writable = true)),
  ],
  sockets = [(name = "http", address = ${quote(new URL(url).host)}, http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed ${quote(basename(modulePath))})],
  compatibilityDate = ${quote(date)},
  compatibilityFlags = ${JSON.stringify(flags)},
  bindings = [${bindings.join(', ')}],
  ${objects}
);
`;
}

/** The compatibility date and flags of the deployed Worker. */
export function readCompatibility(): { compatibilityDate: string; compatibilityFlags: string[] } {
  const toml = readFileSync(WRANGLER_TOML, 'utf8');
  return {
    compatibilityDate: /^compatibility_date = "(.+)"$/m.exec(toml)?.[1] ?? '',
    compatibilityFlags: JSON.parse(/^compatibility_flags = (.+)$/m.exec(toml)?.[1] ?? '[]'),
  };
}

function findWorkerd(): string {
  const require = createRequire(createRequire(import.meta.url).resolve('miniflare'));
  return (require('workerd') as { default: string }).default;
}

/** A text in Cap'n Proto's notation. For printable ASCII it has the same escapes as JSON. */
function quote(text: string): string {
  if (!/^[\x20-\x7e]*$/.test(text)) throw new Error('the configuration may contain only printable ASCII');
  return JSON.stringify(text);
}
