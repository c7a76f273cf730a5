import { expect, it } from 'vitest';
import { serveAssets } from './node-assets.ts';
import { DOCS_ASSETS, DOCS_ASSETS_PATH } from './openapi/assets.ts';

const fetch = serveAssets(() => new Response('the app', { status: 404 }));
const ask = (path: string, method = 'GET') =>
  fetch(new Request(`http://worldkeep.test${path}`, { method }), {
    remoteAddress: null,
    cut: () => undefined,
  });

it('serves each file of the page at /docs, and its head', async () => {
  for (const [name, type] of Object.entries(DOCS_ASSETS)) {
    const answer = await ask(`${DOCS_ASSETS_PATH}/${name}`);
    expect([answer.status, answer.headers.get('Content-Type')]).toEqual([200, type]);
    const { byteLength } = await answer.arrayBuffer();
    expect(answer.headers.get('Content-Length')).toBe(String(byteLength));
    const head = await ask(`${DOCS_ASSETS_PATH}/${name}`, 'HEAD');
    expect([head.status, await head.text()]).toEqual([200, '']);
  }
});

it.each([
  '/docs',
  '/docs/assets/index.html',
  '/docs/assets/../package.json',
  '/docs/assets/%2e%2e/package.json',
  '/docs/assets/..%2fpackage.json',
])('leaves %s to the app', async (path) => {
  expect(await (await ask(path)).text()).toBe('the app');
});

it('leaves other methods to the app', async () => {
  expect((await ask(`${DOCS_ASSETS_PATH}/swagger-ui.css`, 'DELETE')).status).toBe(404);
});
