import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';

const PROJECT = resolve(import.meta.dirname, '..');
const IMPORT = /(\bfrom |\bimport\()(["'])([^"']+)\2/g;

/**
 * Writes the declarations that the entry points reach. Declarations of the stores are left out: they name types of packages that a
 * server does not install. @throws if a reached declaration names such a package
 * @param installed packages that every user of these entry points has
 */
export function writeTypes(
  target: string,
  {
    config,
    entryPoints,
    installed = [],
  }: { config: string; entryPoints: readonly string[]; installed?: readonly string[] },
): void {
  const all = mkdtempSync(join(tmpdir(), 'worldkeep-types-'));
  try {
    const tsc = join(PROJECT, 'node_modules/.bin/tsc');
    execFileSync(tsc, ['-p', join(PROJECT, config), '--outDir', all], { stdio: ['ignore', 2, 2] });
    const reached = new Set<string>(entryPoints.map((path) => join(all, path)));
    for (const path of reached) {
      const text = readFileSync(path, 'utf8').replace(IMPORT, (_, before, quote, name: string) => {
        if (installed.includes(name)) return `${before}${quote}${name}${quote}`;
        if (!name.startsWith('.'))
          throw new Error(`${relative(all, path)} names ${name}, which is not shipped`);
        reached.add(resolve(dirname(path), name.replace(/\.ts$/, '.d.ts')));
        return `${before}${quote}${name.replace(/\.ts$/, '.js')}${quote}`;
      });
      const file = join(target, relative(all, path));
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  } finally {
    rmSync(all, { recursive: true });
  }
}
