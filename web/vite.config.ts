import { resolve } from 'node:path';
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  resolve: { alias: { 'worldkeep/client': resolve(import.meta.dirname, '../src/client/index.ts') } },
  server: { host: '127.0.0.1', proxy: { '/v1': process.env.WORLDKEEP_URL ?? 'http://127.0.0.1:8787' } },
  build: { outDir: '../dist/assets', assetsDir: 'page', emptyOutDir: false, target: 'es2022' },
});
