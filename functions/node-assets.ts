import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { NodeFetch } from './node-server.ts';
import { DOCS_ASSETS, DOCS_ASSETS_PATH } from './openapi/assets.ts';

/** Serves the files of the page at /docs from the package, as the platform does for a Worker. Other paths go to the app. */
export function serveAssets(app: NodeFetch): NodeFetch {
  const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  return async (request, bindings) => {
    const asset = findAsset(request);
    if (asset === null) return app(request, bindings);
    const bytes = await readFile(join(folder, asset.name));
    return new Response(request.method === 'HEAD' ? null : bytes, {
      headers: {
        'Content-Type': asset.type,
        'Content-Length': String(bytes.length),
        'Cache-Control': 'public, max-age=0, must-revalidate',
        'X-Content-Type-Options': 'nosniff',
      },
    });
  };
}

/** By name out of the list, so that no path is made of what a caller sent. */
function findAsset({ method, url }: Request): { name: string; type: string } | null {
  if (method !== 'GET' && method !== 'HEAD') return null;
  const { pathname } = new URL(url);
  const known = Object.entries(DOCS_ASSETS).find(([name]) => pathname === `${DOCS_ASSETS_PATH}/${name}`);
  return known === undefined ? null : { name: known[0], type: known[1] };
}
