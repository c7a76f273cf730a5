import type { AppContext } from '../http/context.ts';
import { readQuery } from '../http/query.ts';

const LINKS = { docs: '/docs', openapi: '/openapi.json', health: '/health' };

const PAGE = `<!doctype html>
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

/** GET /: a page for browsers, JSON for all other clients. */
export function getHome(c: AppContext): Response {
  readQuery(c, []);
  c.header('Vary', 'Accept');
  if (!/\btext\/html\b/.test(c.req.header('Accept') ?? ''))
    return c.json({ name: 'worldkeep', description: 'Persistence for 3D multi-user worlds.', links: LINKS });
  return c.html(PAGE, 200, {
    'Content-Security-Policy': "default-src 'none'",
    'Referrer-Policy': 'no-referrer',
  });
}
