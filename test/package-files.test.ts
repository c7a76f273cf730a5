import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';

const PROJECT = resolve(import.meta.dirname, '..');
const readText = (path: string) => readFileSync(join(PROJECT, path), 'utf8');
const { dependencies, engines, exports, bin, type } = JSON.parse(readText('package.json'));

describe('the packed package', () => {
  let files: string[];
  beforeAll(() => {
    // Without its scripts: other tests use dist/ at the same time.
    const args = ['pack', '--dry-run', '--json', '--ignore-scripts'];
    const [packed] = JSON.parse(execFileSync('npm', args, { cwd: PROJECT, encoding: 'utf8' }));
    files = packed.files.map(({ path }: { path: string }) => path);
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
      'dist/index.js',
      'docs/README.md',
      'docs/benchmarks.md',
      'docs/command-line.md',
      'docs/concepts.md',
      'docs/decisions.md',
      'docs/deploy-cloudflare.md',
      'docs/deploy-node.md',
      'docs/examples/socket-io/README.md',
      'docs/examples/socket-io/server.js',
      'docs/examples/socket-io/world.js',
      'docs/http.md',
      'docs/models-and-media.md',
      'docs/move-from-memory.md',
      'docs/node-library.md',
      'docs/plaza.gltf',
      'docs/worldkeep.svg',
      'drizzle/migrations/meta/_journal.json',
      'package.json',
      'src/SPEC.md',
    ]);
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

  it('depends on the two database drivers, and its code imports nothing else', () => {
    expect(Object.keys(dependencies)).toEqual(['ioredis', 'pg']);
    const code = files.filter((path) => path.endsWith('.js') && path.startsWith('dist/'));
    const imported = new Set<string>();
    for (const path of code)
      for (const [, name = ''] of readText(path).matchAll(
        /^(?:import|export)\b[^;]*?\bfrom ["']([^"'.][^"']*)["'];$/gm,
      ))
        if (!builtinModules.includes(name.replace('node:', ''))) imported.add(name);
    expect([...imported].sort()).toEqual(['ioredis', 'pg']);
  });

  it('has only ES modules, for Node 20.19 and later, and can get more entry points', () => {
    expect({ type, engines, bin, exports }).toEqual({
      type: 'module',
      engines: { node: '>=20.19' },
      bin: { worldkeep: 'dist/cli.js' },
      exports: {
        '.': { types: './dist/types/index.d.ts', default: './dist/index.js' },
        './package.json': './package.json',
      },
    });
  });

  it('contains the licence of each bundled package', () => {
    const licences = readText('dist/THIRD-PARTY-LICENSES.txt');
    for (const name of ['drizzle-orm', 'zod', '@upstash/redis', '@gltf-transform/core', 'cli-progress'])
      expect(licences).toMatch(new RegExp(`^${name} \\d`, 'm'));
  });
});
