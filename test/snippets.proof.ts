import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { transform } from 'esbuild';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { findFreePort } from '../dev/ports.ts';
import { makeTemporaryDir } from '../dev/stack.ts';
import { openOwnDatabase } from './own-database.ts';
import { stack as testStack } from './support.ts';

const PROJECT = resolve(import.meta.dirname, '..');
const FILES = [
  'README.md',
  ...readdirSync(join(PROJECT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const migrationUrl = () => testStack().migrationUrl;
const START_MS_MAX = 120_000;
const ENV_FILE = '.worldkeep/env';

/** One block of code in a document. */
interface Snippet {
  file: string;
  line: number;
  language: string;
  text: string;
  /** The reason why no test can run it, from a comment above it. */
  notRun: string | null;
}

function listSnippets(file: string): Snippet[] {
  const text = readFileSync(join(PROJECT, file), 'utf8');
  const blocks = /(?:<!-- not run: ([^>]+) -->\n *)?```(\w+)\n([\s\S]*?)```/g;
  return [...text.matchAll(blocks)].map(({ index, 1: notRun = null, 2: language = '', 3: code = '' }) => ({
    file,
    line: text.slice(0, index).split('\n').length,
    language,
    text: code,
    notRun,
  }));
}

const SNIPPETS = FILES.flatMap(listSnippets);
const listRun = (...languages: string[]): [string, Snippet][] =>
  SNIPPETS.filter(({ language, notRun }) => languages.includes(language) && notRun === null).map(
    (snippet) => [`${snippet.file}:${snippet.line}`, snippet],
  );

/** Names that a snippet uses and that its reader already has. */
const BEFORE = `
import { BatchProcessor, CacheManager, Config, PersistenceLayer } from 'worldkeep';
const databaseUrl = process.env.DATABASE_URL;
const { REDIS_HOST, REDIS_PORT, REDIS_PASSWORD } = process.env;
const redisUrl = \`redis://:\${encodeURIComponent(REDIS_PASSWORD)}@\${REDIS_HOST}:\${REDIS_PORT}\`;
const io = { on() {} };
`;
const AFTER = `
if (typeof batch !== 'undefined') await batch.shutdown();
if (typeof batchProcessor !== 'undefined') await batchProcessor.shutdown();
await persistence.disconnect();
process.exit(0);
`;

/** The same for snippets of the client SDK. */
const BEFORE_CLIENT = `
import { connect } from 'worldkeep/client';
const [url, token] = [process.env.WORLDKEEP_URL, process.env.WORLDKEEP_API_KEY];
`;
const OPEN_WORLD = `
const world = connect({ url, space: 'plaza', token });
await world.ready;
`;
const AFTER_CLIENT = `
if ((await world.close()) > 0) throw new Error('the world has unsent changes');
process.exit(0);
`;
/** Renders the component that a snippet exports, in the world of `OPEN_WORLD`. */
const RENDER = `
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { WorldProvider } from 'worldkeep/react';
`;

describe('every snippet of the documentation', () => {
  let dir: string;
  let stack: ChildProcess;
  beforeAll(async () => {
    dir = await makeTemporaryDir();
    const args = ['dev/main.ts', '--dir', join(dir, '.worldkeep'), '--port', String(await findFreePort(0))];
    stack = spawn(process.execPath, args, { cwd: PROJECT, stdio: ['ignore', 'pipe', 'pipe'] });
    await new Promise<void>((resolve, reject) => {
      let output = '';
      const read = (chunk: Buffer) => {
        output += chunk;
        if (output.includes('Ctrl-C stops everything')) resolve();
      };
      stack.stdout?.on('data', read);
      stack.stderr?.on('data', read);
      stack.once('exit', () => reject(new Error(`npm run dev ended:\n${output}`)));
    });
    // The first snippet of all imports this world, and the others read it, so it must exist before all.
    await runShell(`source ${ENV_FILE}\nnpx worldkeep import docs/plaza.gltf --space plaza`);
  }, START_MS_MAX);
  afterAll(async () => {
    stack?.kill('SIGTERM');
    if (stack?.exitCode === null) await once(stack, 'close');
    rmSync(dir, { recursive: true, force: true });
  }, 60_000);

  /** A status of 400 or above fails, as a reader would see. */
  async function runShell(script: string): Promise<string> {
    const port = await findFreePort(0);
    const text = script
      .replaceAll(ENV_FILE, join(dir, ENV_FILE))
      .replaceAll('8090', String(port))
      .replace(/^node docs\/examples/m, 'PORT=0 node docs/examples');
    const file = join(dir, `snippet-${port}.sh`);
    const curl = 'curl() { command curl --fail-with-body -sS "$@"; }';
    writeFileSync(file, `set -e\n${curl}\nsource ${join(dir, ENV_FILE)}\n${text}`);
    const PATH = [join(PROJECT, 'node_modules/.bin'), process.env.PATH].join(delimiter);
    const options = { cwd: PROJECT, env: { ...process.env, PATH }, timeout: 60_000 };
    const { stdout } = await promisify(execFile)('bash', [file], options);
    return stdout;
  }

  it.each(listRun('sh'))('a shell runs %s', async (_, { text }) => {
    if (text.includes('npm install')) expect(text).toMatch(/^npm install && npm (run dev|test)\n$/);
    else await runShell(text);
  });

  it.each(listRun('js'))('Node runs %s', async (_, { file: source, text, line }) => {
    const file = join(PROJECT, `snippet-${line}-${process.pid}.mjs`);
    const [before, after] =
      text.includes('worldkeep/client') || source.startsWith('docs/client.md')
        ? [`${BEFORE_CLIENT}${text.includes('const world = connect') ? '' : OPEN_WORLD}`, AFTER_CLIENT]
        : [BEFORE, AFTER];
    writeFileSync(file, `${before}${text.replace(/^import .*worldkeep.*$/m, '')}${after}`);
    try {
      await runShell(`node ${file}`);
    } finally {
      rmSync(file);
    }
  });

  it.each(listRun('jsx'))('React renders %s', async (_, { text, line }) => {
    const file = join(PROJECT, `snippet-${line}-${process.pid}.mjs`);
    const [, component = ''] = /export function (\w+)/.exec(text) ?? [];
    const { code } = await transform(text.replace('export ', '').replace(/^import { connect }.*$/m, ''), {
      loader: 'jsx',
      jsx: 'automatic',
    });
    const provider = text.includes('WorldProvider }') ? RENDER.replace(/^.*worldkeep.*$/m, '') : RENDER;
    const render = `
      const html = renderToString(createElement(WorldProvider, { world }, createElement(${component})));
      if (html === '') throw new Error('the snippet shows nothing');
    `;
    const world = text.includes('const world = connect') ? '' : OPEN_WORLD;
    writeFileSync(
      file,
      `${BEFORE_CLIENT}${provider}${world}${code}await world.ready;${render}${AFTER_CLIENT}`,
    );
    try {
      await runShell(`node ${file}`);
    } finally {
      rmSync(file);
    }
  });

  it.each(listRun('json'))('%s is JSON', (_, { text }) => {
    expect(() => JSON.parse(text)).not.toThrow();
  });

  it.each(listRun('sql'))('%s runs as the owner of the database', async (_, { text }) => {
    const own = await openOwnDatabase();
    onTestFinished(() => own.close());
    const { pathname } = new URL(own.url);
    const owner = new pg.Client(Object.assign(new URL(migrationUrl()), { pathname }).href);
    const notices: string[] = [];
    owner.on('notice', ({ message = '' }) => notices.push(message));
    await owner.connect();
    // One by one: VACUUM cannot run in a transaction.
    for (const statement of text.split(';').filter((one) => one.trim() !== '')) await owner.query(statement);
    await owner.end();
    // A table with data that the role may not vacuum would be skipped with a warning.
    expect(notices.filter((notice) => !/"(pg_|sql_|__drizzle)/.test(notice))).toEqual([]);
  });

  it('is of a language that a test knows, or says why no test runs it', () => {
    const known = ['sh', 'js', 'jsx', 'json', 'mermaid', 'sql'];
    expect(SNIPPETS.filter(({ language }) => !known.includes(language))).toEqual([]);
    expect(SNIPPETS.length).toBeGreaterThan(20);
    for (const { notRun } of SNIPPETS) if (notRun !== null) expect(notRun).toMatch(/^(needs|belongs) /);
  });

  it('links to a file that exists', () => {
    for (const file of FILES)
      for (const [, link = ''] of readFileSync(join(PROJECT, file), 'utf8').matchAll(
        /\]\((?!https?:|#)([^)#]+)/g,
      ))
        expect([file, link, existsSync(join(PROJECT, file, '..', link))]).toEqual([file, link, true]);
  });
});
