/** Collects the files that the platform serves with the Worker: the page at /docs. */
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { DOCS_ASSETS, DOCS_ASSETS_PATH } from '../functions/openapi/assets.ts';

const FOLDER = resolve(import.meta.dirname, '../dist/assets');
const HEADERS = `${DOCS_ASSETS_PATH}/*\n  X-Content-Type-Options: nosniff\n`;

const source = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
for (const name of Object.keys(DOCS_ASSETS))
  writeWhole(join(FOLDER, DOCS_ASSETS_PATH, name), readFileSync(join(source, name)));
writeWhole(join(FOLDER, '_headers'), Buffer.from(HEADERS));

/** Existing files stay, and a parallel reader never sees half a file: builds may run at the same time. */
function writeWhole(path: string, bytes: Buffer): void {
  if (statSync(path, { throwIfNoEntry: false })?.size === bytes.length && readFileSync(path).equals(bytes))
    return;
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, bytes);
  renameSync(temporary, path);
}
