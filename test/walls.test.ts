import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const PROJECT = resolve(import.meta.dirname, '..');

/** Lints files of these contents, by their paths, under the project's own rules. @returns the broken rules of each file. */
function lint(files: Record<string, string>): Record<string, string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'walls-'));
  try {
    cpSync(join(PROJECT, 'biome.json'), join(folder, 'biome.json'));
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const biome = join(PROJECT, 'node_modules/@biomejs/biome/bin/biome');
    const args = ['lint', '--reporter=json', '--max-diagnostics=none', '.'];
    const { stdout } = spawnSync(process.execPath, [biome, ...args], { cwd: folder, encoding: 'utf8' });
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: Diagnostic[] };
    const broken: Record<string, string[]> = Object.fromEntries(Object.keys(files).map((path) => [path, []]));
    for (const { category, severity, location } of diagnostics)
      if (severity === 'error') broken[location.path.replace(/^\.\//, '')]?.push(category);
    return broken;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Diagnostic {
  category: string;
  severity: string;
  location: { path: string };
}

function importing(path: string): string {
  return `import { x } from '${path}';\nexport const y = x;\n`;
}

const FORBIDDEN: [string, string][] = [
  ['functions/api/a.ts', '../../src/postgres/client.ts'],
  ['functions/api/a.ts', '../../src/redis/client.ts'],
  ['functions/api/a.ts', 'drizzle-orm'],
  ['functions/api/a.ts', '@upstash/redis'],
  ['functions/api/a.ts', 'node:fs'],
  ['functions/http/a.ts', '../../dev/stack.ts'],
  ['functions/worker.ts', './compose-node.ts'],
  ['functions/node.ts', '../src/postgres/pg.ts'],
  ['src/a-class.ts', './postgres/client.ts'],
  ['src/a-class.ts', './redis/client.ts'],
  ['src/a-class.ts', 'hono'],
  ['src/a-class.ts', 'drizzle-orm'],
  ['src/a-class.ts', './index.ts'],
  ...['access', 'analytics', 'audit', 'events', 'jobs', 'live', 'log', 'metrics', 'state'].flatMap(
    (folder): [string, string][] => [
      [`src/${folder}/a.ts`, '../postgres/client.ts'],
      [`src/${folder}/a.ts`, 'hono'],
      [`src/${folder}/a.ts`, '../index.ts'],
      ['src/world/a.ts', `../${folder}/a.ts`],
    ],
  ),
  ...[
    ...['access', 'analytics', 'audit', 'events', 'jobs', 'live', 'log', 'metrics', 'persistence', 'state'],
    ...['postgres', 'redis', 'qstash'],
  ].flatMap((folder): [string, string][] => [
    [`src/${folder}/a.ts`, '../persistence-layer.ts'],
    [`src/${folder}/a.ts`, '../cache-manager.ts'],
    [`src/${folder}/a.ts`, '../config.ts'],
  ]),
  ['src/postgres/operations/a.ts', '../../persistence-layer.ts'],
  ['src/helpers/a.ts', '../world/errors.ts'],
  ['src/log/a.ts', '../state/space-state.ts'],
  ['src/metrics/a.ts', '../live/space-stream.ts'],
  ['src/log/a.ts', '../live/space-stream.ts'],
  ['src/state/a.ts', '../live/space-stream.ts'],
  ['src/live/a.ts', '../state/space-state.ts'],
  ['src/world/a.ts', '../persistence-layer.ts'],
  ['src/world/a.ts', '../postgres/client.ts'],
  ['src/world/a.ts', 'node:crypto'],
  ['src/world/a.ts', 'uuidv7'],
  ['src/postgres/a.ts', '../redis/client.ts'],
  ['src/postgres/operations/a.ts', '../../qstash/client.ts'],
  ['src/postgres/a.ts', 'hono'],
  ['src/postgres/a.ts', '@upstash/redis'],
  ['src/redis/a.ts', '../postgres/client.ts'],
  ['src/redis/a.ts', 'drizzle-orm/pg-core'],
  ['src/qstash/a.ts', '../redis/client.ts'],
  ['src/assets/a.ts', 'aws4fetch'],
  ['src/assets/a.ts', 'node:fs'],
  ['src/assets/a.ts', 'hono'],
  ['src/assets/a.ts', '../redis/client.ts'],
  ['src/assets/s3-a.ts', 'node:crypto'],
  ['src/assets/s3-a.ts', '../persistence-layer.ts'],
  ['src/assets/folder-a.ts', 'aws4fetch'],
  ['src/assets/folder-a.ts', '../postgres/client.ts'],
  ['functions/api/a.ts', 'aws4fetch'],
  ['functions/api/a.ts', '../../src/assets/a-bucket.ts'],
  ['src/log/a.ts', '../assets/a-bucket.ts'],
  ['src/client/a.ts', '../log/space-log.ts'],
  ['src/client/a.ts', '../world/limits.ts'],
  ['src/client/a.ts', 'zod'],
  ['src/client/a.ts', 'node:fs'],
  ['src/cli/commands/a.ts', '../../../functions/app.ts'],
  ['src/cli/commands/a.ts', '../../../dev/stack.ts'],
  ['src/cli/simulation/a.ts', '../../client/index.ts'],
  ['web/a.ts', '../src/client/index.ts'],
  ['web/scene/a.ts', '../../src/world/types.ts'],
  ['web/a.ts', '../functions/http/static-files.ts'],
  ['web/a.ts', 'node:fs'],
  ['web/a.ts', 'zod'],
];

const ALLOWED: [string, string][] = [
  ['functions/compose.ts', '../src/postgres/client.ts'],
  ['functions/compose-node.ts', '../src/redis/tcp.ts'],
  ['functions/api/a.ts', '../../src/persistence-layer.ts'],
  ['functions/api/a.ts', 'hono'],
  ['functions/node-server.ts', 'node:http'],
  ['src/a-class.ts', './world/types.ts'],
  ['src/a.ts', './state/space-state.ts'],
  ['src/a.ts', './live/space-stream.ts'],
  ['src/log/a.ts', '../world/types.ts'],
  ['src/log/a.ts', '../world-stores.ts'],
  ['src/state/a.ts', '../log/log-stores.ts'],
  ['src/live/a.ts', '../log/log-stores.ts'],
  ['src/access/a.ts', '../live/presence.ts'],
  ['src/client/a.ts', '../world/replay.ts'],
  ['src/client/a.ts', 'eventsource-parser'],
  ['src/world/a.ts', './types.ts'],
  ['src/world/a.ts', 'zod'],
  ['src/postgres/operations/a.ts', '../client.ts'],
  ['src/postgres/operations/a.ts', '../../world/types.ts'],
  ['src/postgres/a.ts', 'drizzle-orm'],
  ['src/metrics/a.ts', '../log/world-log.ts'],
  ['src/redis/a.ts', '../metrics/metrics-stores.ts'],
  ['src/redis/a.ts', '@upstash/redis'],
  ['src/assets/a.ts', '../world/errors.ts'],
  ['src/assets/s3-a.ts', 'aws4fetch'],
  ['src/assets/folder-a.ts', 'node:fs/promises'],
  ['src/cli/commands/a.ts', '../../world/types.ts'],
  ['src/cli/simulation/a.ts', '../../client/world.ts'],
  ['web/a.ts', 'worldkeep/client'],
  ['web/scene/a.ts', '../a.ts'],
  ['web/a.ts', 'three'],
];

/** A separate file for each import, in the same room. */
const nameFiles = (imports: [string, string][], kind: string) =>
  imports.map(([file, path], i) => [file.replace(/(\ba|a-class)\.ts$/, `${kind}-${i}.ts`), path] as const);

describe('the walls between rooms', () => {
  const forbidden = nameFiles(FORBIDDEN, 'forbidden');
  const allowed = nameFiles(ALLOWED, 'allowed');
  const cycle = { 'src/world/x.ts': importing('./y.ts'), 'src/world/y.ts': importing('./x.ts') };
  const imports = [...forbidden, ...allowed].map(([file, path]) => [file, importing(path)]);
  const broken = lint({ ...Object.fromEntries(imports), ...cycle });

  it.each(forbidden)('%s may not import %s', (file) => {
    expect(broken[file]).toEqual(['lint/style/noRestrictedImports']);
  });

  it.each(allowed)('%s may import %s', (file) => {
    expect(broken[file]).toEqual([]);
  });

  it('no file imports itself through others', () => {
    expect(broken['src/world/x.ts']).toContain('lint/suspicious/noImportCycles');
  });
});
