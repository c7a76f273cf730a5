import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFreePort } from '../dev/ports.ts';
import { type DevWorker, startWorker } from '../dev/worker.ts';
import { STATIC_FILES } from '../functions/http/static-files.ts';
import { DOCS_ASSETS_PATH } from '../functions/openapi/assets.ts';
import { launchBrowser } from './browser.ts';
import { openSpace } from './http/client.ts';
import { type NodeTarget, startNode } from './http/node-target.ts';
import { makeEnv, type Target } from './http/targets.ts';

/** The types of the files of the page, by the end of their names. */
const TYPES: Record<string, string> = {
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
};
const BROWSER = { Accept: 'text/html' };

let folder: string;
let worker: DevWorker;
let node: NodeTarget;
let browser: Browser;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'worldkeep-page-'));
  const port = await findFreePort(0);
  [worker, node, browser] = await Promise.all([
    startWorker({ dir: folder, port, variables: makeEnv() }),
    startNode(makeEnv()),
    launchBrowser(),
  ]);
}, 90_000);
afterAll(async () => {
  await Promise.all([browser?.close(), worker?.stop(), node?.stop()]);
  await rm(folder, { recursive: true, force: true });
});

const SERVERS: [string, () => string][] = [
  ['Workers', () => worker.url],
  ['Node', () => `http://${node.address.host}:${node.address.port}`],
];

describe.each(SERVERS)('the page on %s', (_, readUrl) => {
  const ask = (path: string, init?: RequestInit) => fetch(readUrl() + path, { redirect: 'manual', ...init });
  const readFiles = async (path = '/') => {
    const page = await (await ask(path, { headers: BROWSER })).text();
    return [...page.matchAll(/(?:src|href)="(\/page\/[^"]+)"/g)].map(([, path = '']) => path);
  };
  const expectHeaders = (answer: Response, rule: string) => {
    for (const [name, value] of Object.entries(STATIC_FILES[rule] ?? { none: rule }))
      expect([name, answer.headers.get(name)]).toEqual([name, value]);
  };

  it('is at / for a browser, and at /index.html, with the declared headers', async () => {
    for (const [path, headers] of [
      ['/', BROWSER],
      ['/?from=chat', BROWSER],
      ['/index.html', {}],
    ] as [string, Record<string, string>][]) {
      const answer = await ask(path, { headers });
      expect([path, answer.status, answer.headers.get('Content-Type')]).toEqual([
        path,
        200,
        'text/html; charset=utf-8',
      ]);
      expectHeaders(answer, '/index.html');
      expect(await answer.text()).toContain('src="/page/');
      const head = await ask(path, { headers, method: 'HEAD' });
      expect([head.status, await head.text()]).toEqual([200, '']);
      expectHeaders(head, '/index.html');
    }
  });

  it('has a page for operators at /ops, and at /ops.html, with a policy of its own', async () => {
    for (const path of ['/ops', '/ops.html']) {
      const answer = await ask(path);
      expect([path, answer.status, answer.headers.get('Content-Type')]).toEqual([
        path,
        200,
        'text/html; charset=utf-8',
      ]);
      expectHeaders(answer, '/ops.html');
      expect(answer.headers.get('Content-Security-Policy')).not.toMatch(/unsafe|blob:|data:/);
      expect(await answer.text()).toContain('src="/page/ops-');
    }
    const first = await ask('/ops');
    const tag = first.headers.get('ETag') ?? '';
    await first.arrayBuffer();
    expect((await ask('/ops', { headers: { 'If-None-Match': tag } })).status).toBe(304);
  });

  it('is 304 for a browser that has it', async () => {
    const first = await ask('/', { headers: BROWSER });
    const tag = first.headers.get('ETag') ?? '';
    expect([await first.text().then(({ length }) => length > 0), tag]).toEqual([
      true,
      expect.stringMatching(/"/),
    ]);
    const again = await ask('/', { headers: { ...BROWSER, 'If-None-Match': tag } });
    expect([again.status, again.headers.get('Cache-Control'), again.headers.get('Vary')]).toEqual([
      304,
      'no-cache',
      'Accept',
    ]);
  });

  it('leaves JSON at / for other clients', async () => {
    for (const headers of [{}, { Accept: 'application/json' }] as Record<string, string>[]) {
      const answer = await ask('/', { headers });
      expect([answer.status, answer.headers.get('Vary')]).toEqual([200, 'Accept']);
      expect(await answer.json()).toMatchObject({ name: 'worldkeep', links: { docs: '/docs' } });
    }
  });

  it('has files that browsers keep', async () => {
    const files = [...new Set([...(await readFiles()), ...(await readFiles('/ops'))])];
    expect(files.length).toBeGreaterThan(5);
    for (const path of files) {
      const answer = await ask(path);
      const [type] = (answer.headers.get('Content-Type') ?? '').split(';');
      expect([path, answer.status, type]).toEqual([path, 200, TYPES[extname(path)]]);
      expectHeaders(answer, '/page/*');
      await answer.arrayBuffer();
    }
  });

  it('comes with licences, and with nothing else of the folder', async () => {
    for (const [path, rule] of [
      ['/licences.txt', '/licences.txt'],
      [`${DOCS_ASSETS_PATH}/LICENSE`, `${DOCS_ASSETS_PATH}/LICENSE`],
    ] as const) {
      const answer = await ask(path);
      expect([path, answer.headers.get('Content-Type')]).toEqual([path, 'text/plain; charset=utf-8']);
      expectHeaders(answer, rule);
      await answer.arrayBuffer();
    }
    for (const path of ['/_headers', '/page/', '/page/absent.js', '/page', '/index']) {
      const answer = await ask(path);
      expect([path, answer.status, answer.headers.get('Content-Type')]).toEqual([
        path,
        404,
        'application/problem+json',
      ]);
      await answer.arrayBuffer();
    }
  });

  it('opens a space in a browser under its policy, and sends the token in headers only', async () => {
    const target = { fetch: (path: string, init?: RequestInit) => ask(path, init) } as Target;
    const { at, apiKey } = await openSpace(target);
    const space = at.split('/').at(-1) ?? '';
    const headers = {
      Authorization: `Bearer ${await apiKey(['write'])}`,
      'Content-Type': 'application/json',
    };
    const post = (path: string, method: string, body: object) =>
      ask(path, { method, headers, body: JSON.stringify(body) });
    await post('/v1/users/ann', 'PUT', { displayName: 'Ann' });
    const session = await post('/v1/sessions', 'POST', { userId: 'ann', spaceId: space, role: 'editor' });
    const { token } = (await session.json()) as { token: string };
    const page = await browser.newPage();
    const asked: string[] = [];
    const complaints: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    page.on(
      'console',
      (message) => /Content Security Policy/i.test(message.text()) && complaints.push(message.text()),
    );
    page.on('pageerror', (error) => complaints.push(error.message));
    const state = page.waitForResponse((response) => response.url().includes(`${at}/state`));
    await page.goto(`${readUrl()}/#${new URLSearchParams({ space, token })}`);
    expect((await state).status()).toBe(200);
    expect(complaints).toEqual([]);
    const withoutFragment = asked.map((url) => url.split('#')[0] ?? '');
    const elsewhere = withoutFragment.filter(
      (url) => !url.startsWith(readUrl()) && !/^(blob|data):/.test(url),
    );
    expect(elsewhere).toEqual([]);
    await page.close();
    const log = [readFileSync(join(folder, 'worker.log'), 'utf8'), ...node.lines];
    expect([...withoutFragment, ...log].filter((text) => text.includes(token))).toEqual([]);
  });
});
