/** `npm run prepare`, which npm runs after an install: the package as JavaScript, for servers whose Node reads no TypeScript. */
import { resolve } from 'node:path';
import { build } from 'esbuild';

const PROJECT = resolve(import.meta.dirname, '..');

await build({
  entryPoints: [resolve(PROJECT, 'src/index.ts')],
  outfile: resolve(PROJECT, 'dist/index.js'),
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20',
  sourcemap: true,
  logLevel: 'warning',
});
