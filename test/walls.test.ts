import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const PROJECT = resolve(import.meta.dirname, '..');

/** Lints files of these contents, by their paths, under the project's own rules. @returns the names of the rules broken. */
function lint(files: Record<string, string>): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'walls-'));
  try {
    cpSync(join(PROJECT, 'biome.json'), join(folder, 'biome.json'));
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const biome = join(PROJECT, 'node_modules/@biomejs/biome/bin/biome');
    execFileSync(process.execPath, [biome, 'lint', '--reporter=json', '.'], { cwd: folder, stdio: 'pipe' });
    return [];
  } catch (error) {
    const { stdout } = error as { stdout?: Buffer };
    if (!stdout) throw error;
    const report = JSON.parse(stdout.toString()) as { diagnostics: { category: string; severity: string }[] };
    return report.diagnostics.filter(({ severity }) => severity === 'error').map(({ category }) => category);
  } finally {
    rmSync(folder, { recursive: true });
  }
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
  ...['access', 'live', 'log', 'state'].flatMap((folder): [string, string][] => [
    [`src/${folder}/a.ts`, '../postgres/client.ts'],
    [`src/${folder}/a.ts`, 'hono'],
    [`src/${folder}/a.ts`, '../index.ts'],
    ['src/world/a.ts', `../${folder}/a.ts`],
  ]),
  ['src/log/a.ts', '../state/space-state.ts'],
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
  ['src/cli/commands/a.ts', '../../../functions/app.ts'],
  ['src/cli/commands/a.ts', '../../../dev/stack.ts'],
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
  ['src/world/a.ts', './types.ts'],
  ['src/world/a.ts', 'zod'],
  ['src/postgres/operations/a.ts', '../client.ts'],
  ['src/postgres/operations/a.ts', '../../world/types.ts'],
  ['src/postgres/a.ts', 'drizzle-orm'],
  ['src/redis/a.ts', '@upstash/redis'],
  ['src/cli/commands/a.ts', '../../world/types.ts'],
];

describe('the walls between rooms', () => {
  it.each(FORBIDDEN)('%s may not import %s', (file, path) => {
    expect(lint({ [file]: importing(path) })).toEqual(['lint/style/noRestrictedImports']);
  });

  it('let through what a room may touch', () => {
    const files = Object.fromEntries(
      ALLOWED.map(([file, path], i) => [file.replace(/a\.ts$/, `a${i}.ts`), importing(path)]),
    );
    expect(lint(files)).toEqual([]);
  });

  it('no file imports itself by way of others', () => {
    expect(lint({ 'src/world/a.ts': importing('./b.ts'), 'src/world/b.ts': importing('./a.ts') })).toContain(
      'lint/suspicious/noImportCycles',
    );
  });
});
