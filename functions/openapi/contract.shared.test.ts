import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { ROUTES } from '../routes/index.ts';

const CONTRACT = join(import.meta.dirname, '../../../shared/API.md');

/** Promised, but not built yet. Remove a route from here when it is built. */
const LATER = [
  'GET /v1/spaces/{space}/snapshots',
  'POST /v1/spaces/{space}/snapshots',
  'POST /v1/spaces/{space}/snapshots/{id}/restore',
  'DELETE /v1/spaces/{space}/snapshots/{id}',
];

/** In addition to the contract: large files go up in parts, a person is exported, and the figures of the operations page. */
const ADDED =
  / \/v1\/((models|media)\/uploads\b|users\/\{id\}\/export$)|^GET \/v1\/(users|incidents|job-runs|operations)$/;

it('the described routes and the later ones equal the HTTP contract', () => {
  const promised = listPromised(readFileSync(CONTRACT, 'utf8'));
  expect(promised.length).toBeGreaterThan(50);
  const described = ROUTES.map(({ method, path }) => `${method.toUpperCase()} ${path}`).filter(
    (route) => !ADDED.test(route),
  );
  expect([...described, ...LATER].toSorted()).toEqual(promised.toSorted());
});

/**
 * The routes of the contract's tables. The first column of a row has methods and a path in each code span, or after each ` · `. An
 * ellipsis means the previous path, up to its collection.
 */
function listPromised(text: string): string[] {
  const routes = new Set<string>();
  // In the prose, not in a table.
  for (const [, path] of text.matchAll(/`GET (\/openapi\.json|\/docs)`/g)) routes.add(`GET ${path}`);
  let rowsRoutes: string[] = [];
  for (const row of text.matchAll(/^\| (.+?) \|/gm)) {
    const first = row[1] ?? '';
    if (/^the same under/.test(first)) {
      const [, kind = ''] = /`(\/v1\/\w+)`/.exec(first) ?? [];
      for (const route of rowsRoutes) routes.add(route.replace(/\/v1\/\w+/, kind));
      continue;
    }
    rowsRoutes = readRow(first);
    for (const route of rowsRoutes) routes.add(route);
  }
  return [...routes];
}

function readRow(cell: string): string[] {
  const routes: string[] = [];
  let base = '';
  for (const [, quoted = ''] of cell.matchAll(/`([^`]+)`/g)) {
    const match = /^((?:(?:GET|PUT|POST|PATCH|DELETE) )*)(\S+)/.exec(quoted);
    if (match === null || !/^[/…]/.test(match[2] ?? '')) continue;
    const written = (match[2] ?? '').split('?')[0] ?? '';
    const path = written.startsWith('…')
      ? join(base, written.slice(1).replace(`/${basename(base)}/`, '/'))
      : written;
    if (!written.startsWith('…')) base = written.replace(/^(\/v1\/(?:spaces\/\{space\}\/)?[\w-]+).*$/, '$1');
    const methods = (match[1] ?? '').trim().split(' ').filter(Boolean);
    // A path without a method has that of its row: `POST /jobs/drain` · `/jobs/cleanup`.
    for (const method of methods.length > 0 ? methods : [routes.at(-1)?.split(' ')[0] ?? 'GET'])
      routes.push(`${method} ${path}`);
  }
  return routes;
}
