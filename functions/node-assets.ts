import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { serveStatic } from '@hono/node-server/serve-static';
import { Hono } from 'hono';
import { compress } from 'hono/compress';
import { etag } from 'hono/etag';
import { type FetchAsset, PAGE_FILE, STATIC_FILES } from './http/static-files.ts';
import type { NodeFetch } from './node-server.ts';

/** Serves dist/assets, as the platform does for a Worker. @returns null if the page was never built */
export function openAssets(folder = findFolder()): FetchAsset | null {
  if (!existsSync(join(folder, PAGE_FILE))) return null;
  const files = new Hono();
  for (const [path, headers] of Object.entries(STATIC_FILES))
    files.get(path, async function describe(c, next) {
      await next();
      if (c.res.ok || c.res.status === 304)
        for (const [name, value] of Object.entries(headers)) c.res.headers.set(name, value);
    });
  for (const path of Object.keys(STATIC_FILES))
    files.get(path, compress(), etag(), serveStatic({ root: folder }));
  return async (request) => files.fetch(request);
}

/** Serves the files, and all other paths by the app. */
export function serveAssets(fetchAsset: FetchAsset, app: NodeFetch): NodeFetch {
  return async (request, bindings) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return app(request, bindings);
    const answer = await fetchAsset(request);
    return answer.status === 404 ? app(request, bindings) : answer;
  };
}

/** Found by the name of the package, because this code runs from functions/ and, bundled, from elsewhere in the project. */
function findFolder(): string {
  return join(dirname(createRequire(import.meta.url).resolve('worldkeep/package.json')), 'dist/assets');
}
