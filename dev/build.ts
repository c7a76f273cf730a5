/**
 * Builds the package into dist/. index.js is for servers, cli.js is the command line; both share chunks. client.js and react.js are for
 * browsers, Node and Workers. worker.js is the API for Workers. It also writes their types, and the licences of bundled packages. The
 * two database drivers stay dependencies, so that a server can update them. Servers with worlds in memory install PGlite themselves.
 * assets/ has the files of the pages, for this folder only.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { buildAssets } from './build-assets.ts';
import { writeScripts } from './build-scripts.ts';
import { writeTypes } from './build-types.ts';
import { collectLicences } from './bundled-licences.ts';

const PROJECT = resolve(import.meta.dirname, '..');
const DIST = join(PROJECT, 'dist');

writeScripts();
// Names in these folders change with their content.
for (const folder of ['chunks', 'types']) rmSync(join(DIST, folder), { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: PROJECT,
  entryPoints: { index: 'src/index.ts', cli: 'src/cli/worldkeep.ts' },
  outdir: DIST,
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  external: ['ioredis', 'pg', '@electric-sql/pglite'],
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  // `require` of a module that waits while it loads is refused by Node.
  supported: { 'top-level-await': false },
  // For newer language features, `target` changes only the syntax.
  inject: [join(PROJECT, 'dev/node-20.ts')],
  define: { 'Promise.withResolvers': 'withResolvers', 'Map.groupBy': 'groupBy', 'URL.parse': 'parseUrl' },
  // cli-progress is CommonJS, and requires modules of Node.
  banner: {
    js: "import { createRequire as makeRequire } from 'node:module';\nconst require = makeRequire(import.meta.url);",
  },
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
});
const client = await build({
  absWorkingDir: PROJECT,
  entryPoints: { client: 'src/client/index.ts', react: 'src/client/react.ts' },
  outdir: DIST,
  bundle: true,
  minify: true,
  // Node prints the line of an uncaught error.
  lineLimit: 500,
  external: ['react'],
  platform: 'neutral',
  mainFields: ['module', 'main'],
  format: 'esm',
  target: 'es2022',
  define: { 'Promise.withResolvers': 'withResolvers' },
  inject: [join(PROJECT, 'dev/node-20.ts')],
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
});
const worker = await build({
  absWorkingDir: PROJECT,
  entryPoints: { worker: 'functions/worker.ts' },
  outdir: DIST,
  bundle: true,
  external: ['node:*', 'cloudflare:*'],
  platform: 'neutral',
  mainFields: ['module', 'main'],
  conditions: ['workerd', 'worker', 'browser'],
  format: 'esm',
  target: 'es2022',
  supported: { 'top-level-await': false },
  minify: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
});
const inputs = [metafile, client.metafile, worker.metafile].flatMap((file) => Object.keys(file.inputs));
writeFileSync(join(DIST, 'THIRD-PARTY-LICENSES.txt'), collectLicences(inputs));
writeTypes(join(DIST, 'types'), { config: 'tsconfig.build.json', entryPoints: ['index.d.ts'] });
writeTypes(join(DIST, 'types'), {
  config: 'tsconfig.build-client.json',
  entryPoints: ['client/index.d.ts', 'client/react.d.ts'],
  installed: ['react'],
});
writeTypes(join(DIST, 'types'), {
  config: 'tsconfig.build-worker.json',
  entryPoints: ['functions/worker.d.ts'],
});
await buildAssets();
