import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROUTES } from '../routes/index.ts';

const PAGE = join(import.meta.dirname, '../../docs/http.md');

it('docs/http.md lists every route once, and no others', () => {
  const table = /^## Routes\n(.*?)^## /ms.exec(readFileSync(PAGE, 'utf8'))?.[1] ?? '';
  const described = ROUTES.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
  expect(listRoutes(table).toSorted()).toEqual(described.toSorted());
});

/** The same library of another kind has the rows above it. */
const SAME = /^the same under `(?<path>\/v1\/\w+)`$/;

/** A row names routes in code spans, such as `GET PUT /path`. A path that begins with `…` continues the first path of its row. */
function listRoutes(table: string): string[] {
  const routes: string[] = [];
  for (const [, cell = ''] of table.matchAll(/^\| (.+?) \|/gm)) {
    const same = SAME.exec(cell)?.groups?.path;
    if (same !== undefined)
      routes.push(
        ...routes
          .filter((route) => /^\w+ \/v1\/models(\/|$)/.test(route))
          .map((route) => route.replace('/v1/models', same)),
      );
    let first = '';
    for (const [, methods = '', path = ''] of cell.matchAll(/`((?:[A-Z]+ )+)([/…][^`?]*)[^`]*`/g)) {
      const whole = path.replace('…', first);
      first ||= path;
      for (const method of methods.trim().split(' ')) routes.push(`${method} ${whole}`);
    }
  }
  return routes;
}
