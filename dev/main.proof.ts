import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Client } from '@upstash/qstash';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { findFreePort } from './ports.ts';
import { killTree, readProcessStart } from './process.ts';
import { SQUARE } from './square.ts';
import { makeTemporaryDir } from './stack.ts';

const START_MS_MAX = 120_000;

interface Run {
  child: ChildProcess;
  output(): string;
  /** Resolves when the output holds the text. */
  said(text: string): Promise<void>;
  exit: Promise<number | null>;
}

interface DevFile {
  url: string;
  qstashUrl: string;
  qstashToken: string;
  apiKey: string;
  spaceId: string;
}

let base: string;
let dir: string;
const runs: Run[] = [];

beforeAll(async () => {
  base = await makeTemporaryDir();
  dir = join(base, 'kept');
  mkdirSync(dir);
});
afterEach(async () => {
  for (const { child, exit } of runs.splice(0)) {
    child.kill('SIGTERM');
    await exit;
  }
}, 60_000);
afterAll(() => rmSync(base, { recursive: true }));

function start(...args: string[]): Run {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), '--dir', dir, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += chunk;
      child.emit('said');
    });
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  const said = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => output.includes(text) && resolve();
      child.on('said', look);
      void exit.then(() => reject(new Error(`it ended without "${text}":\n${output}`)));
      look();
    });
  const run = { child, exit, said, output: () => output };
  runs.push(run);
  return run;
}

const readJson = (name: string) => JSON.parse(readFileSync(join(dir, name), 'utf8'));
const readDevFile = (): DevFile => readJson('dev.json');
const readPids = (): number[] => readJson('run.json').processes.map((it: { pid: number }) => it.pid);
const findRunning = (pids: number[]) => pids.filter((pid) => readProcessStart(pid) !== null);

/** Ports in dev.json that still take a connection. */
async function findOpenPorts(devFile: DevFile): Promise<number[]> {
  const urls = Object.values(devFile).filter((value) => URL.canParse(value) && new URL(value).port !== '');
  const ports = [...new Set(urls.map((url) => Number(new URL(url).port)))];
  expect(ports.length).toBe(6);
  const open = ports.map(
    (port) =>
      new Promise<number[]>((resolve) => {
        const socket = connect(port, '127.0.0.1', () => resolve([port]));
        socket.on('error', () => resolve([]));
        socket.on('connect', () => socket.destroy());
      }),
  );
  return (await Promise.all(open)).flat();
}

async function call(
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; json: Record<string, unknown> }> {
  const { url, apiKey } = readDevFile();
  const response = await fetch(`${url}/v1/spaces/main${path}`, {
    method,
    headers: {
      authorization: `Bearer ${apiKey}`,
      'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

/** The schedules of the local QStash: id, cron, destination. */
async function listSchedules(): Promise<string[][]> {
  const { qstashUrl, qstashToken } = readDevFile();
  const client = new Client({ baseUrl: qstashUrl, token: qstashToken, devMode: false });
  const schedules = await client.schedules.list();
  return schedules.map(({ scheduleId, cron, destination }) => [scheduleId, cron, destination]);
}

/** Follows each link as a browser does. @returns their tokens */
async function checkLinks(output: string, url: string): Promise<string[]> {
  const links = [...output.matchAll(/^Open the world: (\S+) \(as (\w+)\)$/gm)];
  expect(links.map(([, , name]) => name)).toEqual(['Ann', 'Ben']);
  expect(output).toContain('npx worldkeep link --space main');
  const tokens: string[] = [];
  for (const [, link = '', name = ''] of links) {
    const { origin, pathname, hash } = new URL(link);
    expect(`${origin}${pathname}`).toBe(`${url}/`);
    const { space, token = '' } = Object.fromEntries(new URLSearchParams(hash.slice(1)));
    expect(space).toBe('main');
    const page = await fetch(link, { headers: { accept: 'text/html' } });
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('src="/page/')]);
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const answers = await Promise.all([
      fetch(`${url}/v1/spaces/main/state`, { headers }),
      fetch(`${url}/v1/spaces/main/objects/by-${name}`, { method: 'PUT', headers, body: '{}' }),
      fetch(`${url}/v1/users/${name.toLowerCase()}`, { headers }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 201, 200]);
    expect(await answers[2].json()).toMatchObject({ displayName: name });
    tokens.push(token);
  }
  return tokens;
}

/** The files of the stack, logs and databases among them, that hold one of the tokens or the secret part of it. */
function findFilesWith(tokens: readonly string[]): string[] {
  const signatures = tokens.map((token) => token.split('.')[2] ?? '');
  expect(signatures.map((signature) => signature.length)).toEqual(tokens.map(() => 43));
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => signatures.some((signature) => readFileSync(path).includes(signature)));
}

it(
  'gives a developer a world that outlives SIGTERM and SIGKILL, and leaves no process behind',
  async () => {
    const port = await findFreePort(0);
    const first = start('--port', String(port));
    await first.said('Ctrl-C stops everything.');
    const devFile = readDevFile();
    expect(devFile).toMatchObject({ url: `http://127.0.0.1:${port}`, tenantId: 'demo', spaceId: 'main' });
    expect(first.output()).toMatch(/source \S*env'?\n/);
    for (const name of ['dev.json', 'env', 'secrets.json', 'worker.env', 'first-world.json'])
      expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
    expect((await call('GET', '/state')).json.objects).toHaveLength(SQUARE.length);
    const tokens = await checkLinks(first.output(), devFile.url);
    const moved = await call('PATCH', '/objects/bench', { position: { x: 4, y: 0, z: 0.1 } });
    expect(moved.status).toBe(200);
    expect(await listSchedules()).toEqual([
      ['worldkeep-drain', '* * * * *', `${devFile.url}/jobs/drain`],
      ['worldkeep-cleanup', '17 * * * *', `${devFile.url}/jobs/cleanup`],
      ['worldkeep-refresh-views', '7 * * * *', `${devFile.url}/jobs/refresh-views`],
      ['worldkeep-seal-audit', '* * * * *', `${devFile.url}/jobs/seal-audit`],
    ]);
    const pids = readPids();
    expect(findRunning(pids)).toHaveLength(3);

    const second = start('--port', String(port));
    expect(await second.exit).toBe(1);
    expect(second.output()).toContain(`Process ${first.child.pid} runs on ${dir} already`);

    first.child.kill('SIGTERM');
    expect(await first.exit).toBe(0);
    expect(findFilesWith(tokens)).toEqual([]);
    expect(findRunning(pids)).toEqual([]);
    expect(await findOpenPorts(devFile)).toEqual([]);
    expect(existsSync(join(dir, 'run.json'))).toBe(false);

    const third = start('--port', String(port));
    await third.said('Ctrl-C stops everything.');
    expect(readDevFile().apiKey).toBe(devFile.apiKey);
    expect((await call('GET', '/objects/bench')).json).toEqual(moved.json);
    const left = readPids();
    third.child.kill('SIGKILL');
    await third.exit;
    expect(findRunning(left).length).toBeGreaterThan(0);

    const fourth = start('--port', String(port));
    await fourth.said('Ctrl-C stops everything.');
    expect(fourth.output()).toContain('which an earlier run has left');
    expect(findRunning(left)).toEqual([]);
    expect((await call('GET', '/objects/bench')).json).toEqual(moved.json);
    const last = readPids();
    fourth.child.kill('SIGINT');
    expect(await fourth.exit).toBe(0);
    expect(findRunning(last)).toEqual([]);
  },
  4 * START_MS_MAX,
);

it(
  'ends with a sentence, and everything with it, when one of its processes ends',
  async () => {
    const run = start('--port', String(await findFreePort(0)), '--ephemeral');
    await run.said('Ctrl-C stops everything.');
    const devFile = readDevFile();
    const log = /Worker log (.*)worker\.log/.exec(run.output())?.[1] ?? '';
    const { processes } = JSON.parse(readFileSync(join(log, 'run.json'), 'utf8'));
    const pids = processes.map((it: { pid: number }) => it.pid);
    await killTree(processes.find((it: { name: string }) => it.name === 'redis').pid);
    expect(await run.exit).toBe(1);
    expect(run.output()).toContain('Redis ended (signal SIGKILL)');
    expect(findRunning(pids)).toEqual([]);
    expect(await findOpenPorts(devFile)).toEqual([]);
    // Ephemeral: neither the data nor the file that names it is kept.
    const left = ['dev.json', 'env'].filter((name) => existsSync(join(dir, name)));
    expect([existsSync(log), left]).toEqual([false, []]);
  },
  START_MS_MAX,
);

it(
  'may be ended while it starts',
  async () => {
    const run = start('--port', String(await findFreePort(0)));
    await run.said('starting worldkeep');
    run.child.kill('SIGINT');
    expect(await run.exit).toBe(0);
    expect(run.output()).not.toContain('is ready');
    expect(existsSync(join(dir, 'run.json'))).toBe(false);
  },
  START_MS_MAX,
);

it('refuses options it does not know', async () => {
  const run = start('--port', 'x');
  expect(await run.exit).toBe(2);
  expect(run.output()).toContain('--port must be a whole number from 1 to 65535, not x');
  const other = start('--nothing');
  expect(await other.exit).toBe(2);
});
