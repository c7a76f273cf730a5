#!/usr/bin/env node
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { describeLinks } from './demo-links.ts';
import { type Local, startLocal } from './local.ts';
import { readCommandLine, readParent, readProcessStart } from './process.ts';

const USAGE = `npm run dev -- [--port N] [--ephemeral] [--dir PATH]

Starts Postgres, Redis, the emulators the real clients talk to and the Worker, all on 127.0.0.1.
Data is kept in .worldkeep/ from one start to the next.

  --port N      the Worker's port, default 8787; the next free one where it is taken
  --ephemeral   keep nothing: a temporary folder instead of .worldkeep/
  --dir PATH    keep the data there instead of in .worldkeep/
`;
const DIR = resolve(import.meta.dirname, '../.worldkeep');
const PORT = 8_787;
const PARENT_CHECK_MS = 1_000;

function readOptions(): { port: number; ephemeral: boolean; dir: string } {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: 'string', default: String(PORT) },
        ephemeral: { type: 'boolean', default: false },
        dir: { type: 'string', default: DIR },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    const port = Number(values.port);
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new Error(`--port must be a whole number from 1 to 65535, not ${values.port}`);
    return { port, ephemeral: values.ephemeral, dir: resolve(values.dir) };
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

function print(local: Local, links: readonly string[], dir: string, startedMs: number): void {
  const { url, spaceId } = local;
  process.stdout.write(`
worldkeep is ready after ${((performance.now() - startedMs) / 1_000).toFixed(1)} s

  API        ${url}
  tenant     ${local.tenantId}, space ${spaceId}
  database   ${hidePassword(local.values.databaseUrl)}
  redis      ${hidePassword(local.values.redisUrl)}
  passwords  ${join(dir, 'dev.json')} and ${join(dir, 'env')}
  Worker log ${local.workerLogFile}

${links.join('\n')}

Next, in a second terminal:

  source ${quotePath(dir)}
  npx worldkeep import docs/plaza.gltf --space plaza
  curl -H "Authorization: Bearer $WORLDKEEP_API_KEY" $WORLDKEEP_URL/v1/spaces/plaza/state

The API is described at ${url}/docs. Ctrl-C stops everything.
`);
}

/** The path of `env` from here, as a shell takes it. */
function quotePath(dir: string): string {
  const path = relative(process.cwd(), join(dir, 'env'));
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

function hidePassword(text: string): string {
  const url = new URL(text);
  url.password = '';
  return url.href;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The pids of npm, if this is one of its scripts, and of the shell in between. */
function findNpm(): number[] {
  if (process.env.npm_lifecycle_event === undefined) return [];
  const isShell = /^\S*sh -c /.test(readCommandLine(process.ppid) ?? '');
  const npm = isShell ? readParent(process.ppid) : null;
  return npm === null ? [process.ppid] : [process.ppid, npm];
}

/** Resolves with the reason to end: a signal, or a parent that is gone. The second signal ends immediately. */
function waitForEnd(): Promise<string> {
  return new Promise((resolve) => {
    let isEnding = false;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => {
        if (isEnding) process.exit(1);
        isEnding = true;
        resolve(signal);
      });
    // npm that is killed takes nobody with it: what it started would stay behind.
    const parents = findNpm().map((pid) => [pid, readProcessStart(pid)] as const);
    if (parents.length > 0)
      setInterval(() => {
        if (parents.some(([pid, start]) => readProcessStart(pid) !== start)) resolve('npm has ended');
      }, PARENT_CHECK_MS).unref();
  });
}

/** @returns the exit code */
async function run(): Promise<number> {
  const startedMs = performance.now();
  const { port, ephemeral, dir } = readOptions();
  const aborting = new AbortController();
  const asked = waitForEnd();
  void asked.then(() => aborting.abort());
  const crashed = new Promise<string>((resolve) => {
    process.on('uncaughtException', (error) => resolve(error.stack ?? error.message));
  });

  process.stdout.write('starting worldkeep\n');
  let local: Local;
  try {
    const log = (line: string) => process.stdout.write(`  ${line}\n`);
    local = await startLocal({ dir, ephemeral, port, signal: aborting.signal, log });
  } catch (error) {
    if (aborting.signal.aborted) return 0;
    process.stderr.write(`\n${messageOf(error)}\n`);
    return 1;
  }
  const links = await describeLinks(local, aborting.signal);
  if (!aborting.signal.aborted) print(local, links, dir, startedMs);
  const failure = await Promise.race([asked.then(() => null), local.ended, crashed]);
  if (failure !== null) process.stderr.write(`\n${failure}\n`);
  process.stdout.write('\nending\n');
  await local.stop();
  return failure === null ? 0 : 1;
}

process.exit(await run());
