import { AppError } from '../../src/world/errors.ts';
import { readBasePath } from '../http/base-path.ts';
import type { AppContext } from '../http/context.ts';
import { readQuery } from '../http/query.ts';
import { OPS_FILE, PAGE_FILE } from '../http/static-files.ts';

const LINKS = { docs: '/docs', openapi: '/openapi.json', health: '/health' };

const HOME = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>worldkeep</title>
</head>
<body>
<h1>worldkeep</h1>
<p>This server stores 3D multi-user worlds. It orders changes, keeps them in Postgres, and streams them to everybody in a world.</p>
<ul>
<li><a href="/docs">API documentation</a> (<a href="/openapi.json">OpenAPI</a>)</li>
<li><a href="/health">Health</a></li>
</ul>
</body>
</html>
`;

/**
 * GET /: the page of web/ for browsers if it is deployed, else a list of links. JSON for all other clients. A browser may send any query,
 * because other sites add theirs to a link.
 */
export async function getHome(c: AppContext): Promise<Response> {
  c.header('Vary', 'Accept');
  if (!/\btext\/html\b/.test(c.req.header('Accept') ?? '')) {
    readQuery(c, []);
    const links = Object.fromEntries(
      Object.entries(LINKS).map(([name, path]) => [name, readBasePath(c) + path]),
    );
    return c.json({ name: 'worldkeep', description: 'Persistence for 3D multi-user worlds.', links });
  }
  return (
    (await sendPage(c, PAGE_FILE)) ??
    c.html(HOME.replaceAll('href="/', `href="${readBasePath(c)}/`), 200, {
      'Content-Security-Policy': "default-src 'none'",
      'Referrer-Policy': 'no-referrer',
    })
  );
}

/** GET /ops: the operations page. It asks for a key itself, so anyone may load it. */
export async function getOps(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const page = await sendPage(c, OPS_FILE);
  if (page !== null) return page;
  throw new AppError(
    'not_found',
    'The operations page is not deployed with this server. `npm run build:assets` builds it.',
  );
}

/** @returns null if the page is not deployed. */
async function sendPage(c: AppContext, file: string): Promise<Response | null> {
  const { fetchAsset } = c.get('services');
  if (fetchAsset === null) return null;
  const known = c.req.header('If-None-Match');
  const answer = await fetchAsset(
    new Request(new URL(file, c.req.url), known === undefined ? {} : { headers: { 'If-None-Match': known } }),
  );
  if (answer.status !== 200 && answer.status !== 304) return null;
  for (const [name, value] of answer.headers) c.header(name, value, { append: name === 'vary' });
  return answer.body === null ? c.body(null, answer.status) : c.body(answer.body);
}
