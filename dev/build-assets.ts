/** Collects the files that the platform serves with the Worker: the page at `/`, and the files of the page at /docs. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { STATIC_FILES } from '../functions/http/static-files.ts';
import { DOCS_ASSETS, DOCS_ASSETS_PATH } from '../functions/openapi/assets.ts';
import { buildPage } from './build-page.ts';
import { writeWhole } from './write-whole.ts';

const FOLDER = resolve(import.meta.dirname, '../dist/assets');

export async function buildAssets(): Promise<void> {
  const source = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  for (const name of Object.keys(DOCS_ASSETS))
    writeWhole(join(FOLDER, DOCS_ASSETS_PATH, name), readFileSync(join(source, name)));
  writeWhole(join(FOLDER, '_headers'), Buffer.from(formatHeaders()));
  await buildPage(FOLDER);
}

/** The headers as the platform reads them from the file `_headers`. */
function formatHeaders(): string {
  return Object.entries(STATIC_FILES)
    .map(([path, headers]) => [
      path,
      ...Object.entries(headers).map(([name, value]) => `  ${name}: ${value}`),
    ])
    .map((lines) => `${lines.join('\n')}\n`)
    .join('');
}

if (import.meta.main) await buildAssets();
