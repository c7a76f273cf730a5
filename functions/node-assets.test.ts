import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STATIC_FILES } from './http/static-files.ts';
import { openAssets, serveAssets } from './node-assets.ts';
import type { NodeFetch } from './node-server.ts';

const SCRIPT = `export const words = '${'word '.repeat(1_000)}';\n`;
const FILES: Record<string, string> = {
  'index.html': '<!doctype html>',
  'page/main-AbC12.js': SCRIPT,
  'page/style-x.css': 'a {}',
  'docs/assets/swagger-ui.css': 'b {}',
  'docs/assets/LICENSE': 'Apache',
  'licences.txt': 'MIT',
  _headers: 'not for callers',
  'secret.txt': 'not for callers',
};

let parent: string;
let fetch: NodeFetch;
beforeAll(() => {
  parent = mkdtempSync(join(tmpdir(), 'worldkeep-assets-'));
  const folder = join(parent, 'assets');
  for (const [name, text] of Object.entries({ ...FILES, '../outside.js': 'outside' })) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const assets = openAssets(folder);
  if (assets === null) throw new Error('no assets');
  fetch = serveAssets(assets, () => new Response('the app', { status: 404 }));
});
afterAll(() => rmSync(parent, { recursive: true }));

const ask = async (path: string, init?: RequestInit) =>
  fetch(new Request(`http://worldkeep.test${path}`, init), { remoteAddress: null, cut: () => undefined });

describe('the files of the pages on Node', () => {
  it.each([
    ['/index.html', '/index.html', 'text/html; charset=utf-8'],
    ['/page/main-AbC12.js', '/page/*', 'text/javascript; charset=utf-8'],
    ['/page/style-x.css', '/page/*', 'text/css; charset=utf-8'],
    ['/docs/assets/swagger-ui.css', '/docs/assets/*', 'text/css; charset=utf-8'],
    ['/docs/assets/LICENSE', '/docs/assets/*', 'text/plain; charset=utf-8'],
    ['/licences.txt', '/licences.txt', 'text/plain; charset=utf-8'],
  ])('%s has its bytes, its media type and the declared headers', async (path, rule, type) => {
    const answer = await ask(path);
    expect([answer.status, await answer.text()]).toEqual([200, FILES[path.slice(1)]]);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': type,
      ...Object.fromEntries(
        Object.entries(STATIC_FILES[rule] ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
      ),
    });
    const head = await ask(path, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect(head.headers.get('Content-Length')).toBe(String(FILES[path.slice(1)]?.length));
  });

  it('answers 304 to a caller that knows the file', async () => {
    const tag = (await ask('/index.html')).headers.get('ETag') ?? '';
    expect(tag).toBe(`"${createHash('sha1').update('<!doctype html>').digest('hex')}"`);
    const again = await ask('/index.html', { headers: { 'If-None-Match': tag } });
    expect([again.status, again.headers.get('ETag'), again.headers.get('Cache-Control')]).toEqual([
      304,
      tag,
      'no-cache',
    ]);
  });

  it('compresses a large file for a caller that accepts it', async () => {
    const answer = await ask('/page/main-AbC12.js', { headers: { 'Accept-Encoding': 'gzip' } });
    expect([answer.headers.get('Content-Encoding'), answer.headers.get('Vary')]).toEqual([
      'gzip',
      'Accept-Encoding',
    ]);
    expect(gunzipSync(await answer.arrayBuffer()).toString()).toBe(SCRIPT);
  });

  it.each([
    '/',
    '/docs',
    '/page/',
    '/page/absent.js',
    '/_headers',
    '/secret.txt',
    '/docs/assets/index.html',
    '/docs/assets/../secret.txt',
    '/page/%2e%2e/secret.txt',
    '/page/..%2fsecret.txt',
    '/page/..%5csecret.txt',
    '/page/..%2f..%2foutside.js',
    '/page//..//secret.txt',
    '/page/%00',
  ])('leaves %s to the app', async (path) => {
    expect(await (await ask(path)).text()).toBe('the app');
  });

  it('leaves other methods to the app', async () => {
    expect(await (await ask('/index.html', { method: 'DELETE' })).text()).toBe('the app');
  });

  it('has no files if the page was never built', () => {
    expect(openAssets(join(parent, 'absent'))).toBe(null);
  });
});
