import { join, resolve } from 'node:path';
import { defineConfig } from 'vite';

const PROJECT = resolve(import.meta.dirname, '..');

/** `npx vite web` serves the pages with hot reload. `dev/build-page.ts` builds them. */
export default defineConfig({
  root: import.meta.dirname,
  // A file of a public folder would have no hash in its name. Import it with `?url` instead.
  publicDir: false,
  envDir: false,
  resolve: { alias: { 'worldkeep/client': join(PROJECT, 'src/client/index.ts') } },
  build: {
    outDir: join(PROJECT, 'dist/assets'),
    // The files of /docs are in this folder too.
    emptyOutDir: false,
    assetsDir: 'page',
    // The content security policy of the page refuses fonts from data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    target: 'es2022',
    chunkSizeWarningLimit: 1_000,
    rolldownOptions: {
      input: ['index.html', 'ops.html'].map((name) => join(import.meta.dirname, name)),
      output: {
        // A browser keeps three.js when only the page has changed.
        codeSplitting: { groups: [{ name: 'three', test: /\/node_modules\/three\// }] },
      },
    },
  },
  server: {
    host: '127.0.0.1',
    proxy: { '/v1': process.env.WORLDKEEP_URL ?? 'http://127.0.0.1:8787' },
    // Not the whole project: `.worldkeep` holds passwords.
    fs: { allow: ['web', 'src/client', 'src/world', 'node_modules'].map((name) => join(PROJECT, name)) },
  },
});
