import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const PROJECT = resolve(import.meta.dirname, '..');

/** The name of the package that a bundled file is of: `@scope/name` or `name`; undefined for our own. */
export function packageOf(path: string): string | undefined {
  return /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
}

/** @param inputs the bundled files. @returns the licences of their packages, which their terms ask for */
export function collectLicences(inputs: readonly string[]): string {
  const folders = new Map<string, string>();
  for (const path of inputs) {
    const name = packageOf(path);
    if (name !== undefined) folders.set(name, `${path.slice(0, path.lastIndexOf(`/${name}/`))}/${name}`);
  }
  const texts = [...folders]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, folder]) => readLicence(name, resolve(PROJECT, folder)));
  return `${texts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}

function readLicence(name: string, folder: string): string {
  const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file === undefined ? `Licence: ${license}` : readFileSync(join(folder, file), 'utf8').trim();
  return `${name} ${version}\n\n${text}`;
}
