/** `npm run prepare`, which npm runs after an install: the scripts for Redis as a module, and the package as JavaScript, for servers whose Node reads no TypeScript. */
import { resolve } from 'node:path';
import { build } from 'esbuild';
import { writeScripts } from './build-scripts.ts';

const PROJECT = resolve(import.meta.dirname, '..');

writeScripts();
await build({
  entryPoints: [resolve(PROJECT, 'src/index.ts')],
  outfile: resolve(PROJECT, 'dist/index.js'),
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20',
  // Of what is newer than that, `target` changes the syntax alone.
  inject: [resolve(PROJECT, 'dev/node-20.ts')],
  define: { 'Promise.withResolvers': 'withResolvers', 'Map.groupBy': 'groupBy', 'URL.parse': 'parseUrl' },
  sourcemap: true,
  logLevel: 'warning',
});
