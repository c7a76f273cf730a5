/**
 * `npm run build:scripts`: src/redis/scripts/*.lua as one module. Each runtime and bundler has its own way to import text, and Node
 * has none; a module serves them all. A test fails where it is older than the scripts.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const FOLDER = resolve(import.meta.dirname, '../src/redis/scripts');
export const SCRIPTS_MODULE = resolve(FOLDER, '../scripts.ts');

/** The module's text: of `get-counted.lua` it exports GET_COUNTED. */
export function buildScripts(): string {
  const names = readdirSync(FOLDER)
    .filter((name) => name.endsWith('.lua'))
    .sort();
  const scripts = names.map((name) => {
    const constant = name
      .replace(/\.lua$/, '')
      .replaceAll('-', '_')
      .toUpperCase();
    const source = readScript(name).replace(/[\\`]|\$\{/g, '\\$&');
    return `/** scripts/${name} */\nexport const ${constant}: RedisScript = {\n  source: \`${source}\`,\n};\n`;
  });
  const head = [
    '// Made of scripts/*.lua by `npm run build:scripts`: change those.',
    "import type { RedisScript } from './client.ts';",
  ];
  return `${[head.join('\n'), ...scripts.map((script) => script.trimEnd())].join('\n\n')}\n`;
}

/** A line `-- include NAME` is replaced by the text of shared/NAME, which several scripts use. */
function readScript(name: string): string {
  const text = readFileSync(join(FOLDER, name), 'utf8');
  return text.replace(/^-- include (\S+)$/gm, (_, shared: string) =>
    readFileSync(join(FOLDER, 'shared', shared), 'utf8').trimEnd(),
  );
}

/** Several builds may run at the same time, so an up-to-date file is not written again. */
export function writeScripts(): void {
  const text = buildScripts();
  if (!existsSync(SCRIPTS_MODULE) || readFileSync(SCRIPTS_MODULE, 'utf8') !== text)
    writeFileSync(SCRIPTS_MODULE, text);
}

if (import.meta.main) writeScripts();
