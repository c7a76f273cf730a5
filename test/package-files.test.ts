import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { build } from 'esbuild';
import { beforeAll, describe, expect, it } from 'vitest';

const PROJECT = resolve(import.meta.dirname, '..');
const readText = (path: string) => readFileSync(join(PROJECT, path), 'utf8');
const { dependencies, peerDependencies, engines, exports, bin, type } = JSON.parse(readText('package.json'));

/** @returns the files that npm would pack. No script runs: other tests use dist/ at the same time. */
function listPacked(folder: string): string[] {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const [packed] = JSON.parse(execFileSync('npm', args, { cwd: folder, encoding: 'utf8' }));
  return packed.files.map(({ path }: { path: string }) => path);
}

describe('the packed package', () => {
  let files: string[];
  beforeAll(() => {
    files = listPacked(PROJECT);
  });

  it('contains only the build, the migrations and the documents', () => {
    const built = /^dist\/(chunks\/[\w-]+\.js|types\/([\w-]+\/)*[\w-]+\.d\.ts)$/;
    const migrations = /^drizzle\/migrations\/\d{4}_\w+\.sql$/;
    expect(files.filter((path) => !built.test(path) && !migrations.test(path)).sort()).toEqual([
      '.env.example',
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'dist/THIRD-PARTY-LICENSES.txt',
      'dist/cli.js',
      'dist/client.js',
      'dist/index.js',
      'dist/react.js',
      'dist/worker.js',
      'docs/README.md',
      'docs/analytics.md',
      'docs/audit.md',
      'docs/benchmarks.md',
      'docs/client.md',
      'docs/command-line.md',
      'docs/concepts.md',
      'docs/decisions.md',
      'docs/deploy-cloudflare.md',
      'docs/deploy-node.md',
      'docs/events.md',
      'docs/examples/colyseus/README.md',
      'docs/examples/colyseus/room.js',
      'docs/examples/colyseus/server.js',
      'docs/examples/react/README.md',
      'docs/examples/react/index.html',
      'docs/examples/react/main.jsx',
      'docs/examples/socket-io/README.md',
      'docs/examples/socket-io/server.js',
      'docs/examples/socket-io/world.js',
      'docs/examples/three-js/README.md',
      'docs/examples/three-js/index.html',
      'docs/examples/three-js/main.js',
      'docs/examples/workers/README.md',
      'docs/examples/workers/worker.js',
      'docs/examples/workers/wrangler.toml',
      'docs/http.md',
      'docs/images/ops-object.png',
      'docs/images/ops-overview.png',
      'docs/images/outage.jpg',
      'docs/images/phone.jpg',
      'docs/images/two-browsers.jpg',
      'docs/images/world.jpg',
      'docs/models-and-media.md',
      'docs/monitoring/grafana-dashboard.json',
      'docs/monitoring/prometheus.yml',
      'docs/monitoring/worldkeep-alerts.test.yml',
      'docs/monitoring/worldkeep-alerts.yml',
      'docs/move-from-memory.md',
      'docs/node-library.md',
      'docs/operating.md',
      'docs/operations-page.md',
      'docs/personal-data.md',
      'docs/plaza.gltf',
      'docs/react.md',
      'docs/tamper-evidence.md',
      'docs/world-page.md',
      'docs/worldkeep.svg',
      'drizzle/migrations/meta/_journal.json',
      'package.json',
      'src/SPEC.md',
    ]);
  });

  it('contains no hidden files of an example that somebody has run: secrets, and the state of wrangler', () => {
    const folder = mkdtempSync(join(tmpdir(), 'worldkeep-files-'));
    try {
      copyFileSync(join(PROJECT, 'package.json'), join(folder, 'package.json'));
      const example = 'docs/examples/workers';
      for (const name of ['worker.js', '.dev.vars', '.wrangler/state/v3/r2/bucket.sqlite']) {
        const path = join(folder, example, name);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, '');
      }
      expect(listPacked(folder).sort()).toEqual([`${example}/worker.js`, 'package.json']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('contains every migration that its journal names', () => {
    const journal = JSON.parse(readText('drizzle/migrations/meta/_journal.json'));
    const named = journal.entries.map(({ tag }: { tag: string }) => `drizzle/migrations/${tag}.sql`);
    expect(files).toEqual(expect.arrayContaining(named));
  });

  it('contains every file that its README links to, except two files that only a clone has', () => {
    const links = [...readText('README.md').matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) => path);
    expect(links.length).toBeGreaterThan(0);
    const absent = links.filter(
      (path = '') => !files.some((file) => file === path || file.startsWith(`${path}/`)),
    );
    expect(['CONTRIBUTING.md', 'wrangler.toml']).toEqual(expect.arrayContaining(absent));
  });

  it('depends on two database drivers, and imports nothing else, except React for hooks and PGlite for memory', async () => {
    expect([Object.keys(dependencies), Object.keys(peerDependencies)]).toEqual([
      ['ioredis', 'pg'],
      ['@electric-sql/pglite', 'react'],
    ]);
    const imported: Record<string, string[]> = {};
    for (const name of ['cli', 'client', 'index', 'react', 'worker']) {
      const { metafile } = await build({
        entryPoints: [join(PROJECT, `dist/${name}.js`)],
        bundle: true,
        write: false,
        outdir: join(PROJECT, 'dist'),
        format: 'esm',
        platform: 'node',
        packages: 'external',
        metafile: true,
      });
      const names = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path));
      imported[name] = [...new Set(names)].filter((path) => !isBuiltin(path)).sort();
    }
    const drivers = ['ioredis', 'pg'];
    const memory = ['@electric-sql/pglite', '@electric-sql/pglite/node-postgres'];
    expect(imported).toEqual({
      cli: drivers,
      index: [...memory, ...drivers],
      client: [],
      react: ['react'],
      worker: [],
    });
  });

  it('has a client and a Worker without modules of Node, except one for traces', () => {
    for (const name of ['client', 'react']) expect(readText(`dist/${name}.js`)).not.toMatch(/["']node:/);
    const inWorker = readText('dist/worker.js').matchAll(/["'](node:\w+)["']/g);
    expect(new Set([...inWorker].map(([, name]) => name))).toEqual(new Set(['node:async_hooks']));
  });

  it('has only ES modules, for Node 20.19 and later, and can get more entry points', () => {
    expect({ type, engines, bin, exports }).toEqual({
      type: 'module',
      engines: { node: '>=20.19' },
      bin: { worldkeep: 'dist/cli.js' },
      exports: {
        '.': { types: './dist/types/index.d.ts', default: './dist/index.js' },
        './client': { types: './dist/types/client/index.d.ts', default: './dist/client.js' },
        './react': { types: './dist/types/client/react.d.ts', default: './dist/react.js' },
        './worker': { types: './dist/types/functions/worker.d.ts', default: './dist/worker.js' },
        './package.json': './package.json',
      },
    });
  });

  it('contains the licence of each bundled package', () => {
    const licences = readText('dist/THIRD-PARTY-LICENSES.txt');
    for (const name of [
      'drizzle-orm',
      'zod',
      '@upstash/redis',
      '@gltf-transform/core',
      'cli-progress',
      'hono',
      'idb-keyval',
      'eventsource-parser',
    ])
      expect(licences).toMatch(new RegExp(`^${name} \\d`, 'm'));
  });
});
