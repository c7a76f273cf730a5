import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { StackValues } from '../../dev/stack.ts';
import { buildWorkerVariables, type WorkerVariables } from '../../dev/worker.ts';
import { makeDir, removeDir } from './temporary-dir.ts';
import { startWorkerd, type Workerd } from './workerd.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** Without limits of requests or updates: the benchmark measures the functions, not the limits. */
export const UNLIMITED: WorkerVariables = {
  RATE_LIMIT_REQUESTS_PER_MINUTE: '0',
  RATE_LIMIT_UPDATES_PER_MINUTE: '0',
  RATE_LIMIT_CHAT_PER_MINUTE: '0',
  RATE_LIMIT_UNKNOWN_CREDENTIALS_PER_MINUTE: '0',
};

/** For sections that drain nothing on purpose: as much backlog as Redis has memory for. */
export const ANY_BACKLOG: WorkerVariables = {
  BACKLOG_BYTES_MAX: String(64 * 2 ** 30),
  BACKLOG_ENTRIES_MAX: '100000000',
  BACKLOG_AGE_SECONDS_MAX: '604800',
};

/** Builds the Worker as it is deployed. @returns the path of its one module; `remove` deletes it. */
export async function buildWorker(): Promise<{ path: string; remove(): void }> {
  const outDir = makeDir();
  const wrangler = join(ROOT, 'node_modules/wrangler/bin/wrangler.js');
  await promisify(execFile)(
    process.execPath,
    [wrangler, 'deploy', '--dry-run', '--env', '', '--outdir', outDir],
    { cwd: ROOT, env: { ...process.env, WRANGLER_SEND_METRICS: 'false' } },
  );
  return { path: join(outDir, 'worker.js'), remove: () => removeDir(outDir) };
}

/** Runs the built Worker on a stack, with rate limits off. All other settings are defaults, except `changes`. */
export function startWorker(
  modulePath: string,
  values: StackValues,
  changes: WorkerVariables = {},
  { inspector = false }: { inspector?: boolean } = {},
): Promise<Workerd> {
  return startWorkerd({
    modulePath,
    inspector,
    durableObjectClass: null,
    readyPath: '/readyz',
    buildVariables: (url) => ({ ...buildWorkerVariables(values), ...UNLIMITED, PUBLIC_URL: url, ...changes }),
  });
}
