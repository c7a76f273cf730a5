import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

const PROJECT = resolve(import.meta.dirname, '../..');
/** Packages written for CommonJS call `require`. */
const REQUIRE = `import { createRequire as createRequireHere } from 'node:module'; const require = createRequireHere(import.meta.url);`;

export interface BundledServer {
  path: string;
  remove(): Promise<void>;
}

/** Bundles `functions/node.ts` with its packages. The file lies in the project, where it finds the files of the page at /docs. */
export async function bundleNodeServer(): Promise<BundledServer> {
  const parent = join(PROJECT, 'dist');
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, 'node-server-'));
  const path = join(folder, 'node.js');
  await build({
    entryPoints: [join(PROJECT, 'functions/node.ts')],
    outfile: path,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    external: ['pg-native'],
    banner: { js: REQUIRE },
    sourcemap: 'inline',
    logLevel: 'warning',
  });
  return { path, remove: () => rm(folder, { recursive: true, force: true }) };
}
