import { Hono } from 'hono';
import { expect, it } from 'vitest';
import type { AppEnv, Services } from '../http/context.ts';
import { answerProblem } from '../http/problem.ts';
import type { FetchAsset } from '../http/static-files.ts';
import { getHome, getOps } from './home.ts';

/** A server with these files, or without any. */
function ask(fetchAsset: FetchAsset | null, headers: Record<string, string>, path = '/') {
  const app = new Hono<AppEnv>();
  app.use(async (c, next) => {
    c.set('services', { fetchAsset, config: { publicUrl: null } } as Services);
    c.header('Cache-Control', 'no-store');
    await next();
  });
  app.onError((error, c) => answerProblem(error, c));
  app.get('/', getHome);
  app.get('/ops', getOps);
  return app.request(path, { headers });
}

const PAGE: FetchAsset = async (request) =>
  new URL(request.url).pathname !== '/index.html'
    ? new Response('', { status: 404 })
    : request.headers.get('If-None-Match') === '"v1"'
      ? new Response(null, { status: 304, headers: { ETag: '"v1"' } })
      : new Response('<page>', {
          headers: { 'Content-Type': 'text/html', 'Cache-Control': 'no-cache', Vary: 'Accept-Encoding' },
        });
const BROWSER = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

it('gives a browser the page with the headers of its file, whatever the query is', async () => {
  const answer = await ask(PAGE, BROWSER, '/?utm_source=chat');
  expect([answer.status, await answer.text()]).toEqual([200, '<page>']);
  expect(Object.fromEntries(answer.headers)).toMatchObject({
    'content-type': 'text/html',
    'cache-control': 'no-cache',
    vary: 'Accept, Accept-Encoding',
  });
});

it('answers 304 to a browser that knows the page', async () => {
  const answer = await ask(PAGE, { ...BROWSER, 'If-None-Match': '"v1"' });
  expect([answer.status, answer.headers.get('Vary'), await answer.text()]).toEqual([304, 'Accept', '']);
});

it('gives every other client JSON', async () => {
  for (const headers of [{}, { Accept: '*/*' }, { Accept: 'application/json' }] as Record<string, string>[]) {
    const answer = await ask(PAGE, headers);
    expect([answer.headers.get('Vary'), await answer.json()]).toEqual([
      'Accept',
      expect.objectContaining({ name: 'worldkeep' }),
    ]);
  }
});

it('gives a browser links if the page is not deployed', async () => {
  for (const fetchAsset of [null, async () => new Response('', { status: 404 })]) {
    const answer = await ask(fetchAsset, BROWSER);
    const text = await answer.text();
    for (const link of ['/docs', '/openapi.json', '/health']) expect(text).toContain(`href="${link}"`);
    expect(answer.headers.get('Content-Security-Policy')).toBe("default-src 'none'");
  }
});

it('[P6] gives everybody the operations page with the headers of its file', async () => {
  const page: FetchAsset = async (request) =>
    new URL(request.url).pathname === '/ops.html'
      ? new Response('<ops>', { headers: { 'Content-Type': 'text/html', 'Cache-Control': 'no-cache' } })
      : new Response('', { status: 404 });
  for (const headers of [{}, BROWSER] as Record<string, string>[]) {
    const answer = await ask(page, headers, '/ops');
    expect([answer.status, answer.headers.get('Cache-Control'), await answer.text()]).toEqual([
      ...[200, 'no-cache', '<ops>'],
    ]);
  }
});

it('[P6] answers 404 with a reason if the operations page is not deployed', async () => {
  for (const fetchAsset of [null, PAGE]) {
    const answer = await ask(fetchAsset, BROWSER, '/ops');
    const problem = (await answer.json()) as { code: string; detail: string };
    expect([answer.status, problem.code]).toEqual([404, 'not_found']);
    expect(problem.detail).toContain('The operations page is not deployed');
  }
});
