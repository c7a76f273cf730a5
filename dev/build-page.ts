import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { writeWhole } from './write-whole.ts';

const PROJECT = resolve(import.meta.dirname, '..');
/** Says which inputs the built page has, so that the next build can be skipped. */
const STAMP = join(PROJECT, 'dist/page.json');
const INPUTS = ['web/**', 'src/client/**', 'src/world/**', 'package-lock.json', 'dev/build-page.ts'];
const TESTS = /\.(test|proof|shared)\.tsx?$/;
/**
 * Files of earlier builds stay for a while. A page that a browser has just loaded may still ask for them, and a parallel build may have
 * written them.
 */
const OLD_FILES_MS = 60_000;

interface Stamp {
  inputs: string;
  files: readonly string[];
}

/** Builds the pages of web/ into the folder, unless they were built from the same inputs. @returns whether they were built now */
export async function buildPage(folder: string, stampFile = STAMP): Promise<boolean> {
  const inputs = hashInputs();
  if (isBuilt(folder, readStamp(stampFile), inputs)) return false;
  const files = await bundle();
  // A reader of a page finds all files that the page names.
  const names = [...files.keys()].sort((a, b) => Number(isPage(a)) - Number(isPage(b)));
  const now = new Date();
  for (const name of names) {
    const path = join(folder, name);
    writeWhole(path, files.get(name) as Uint8Array);
    // A parallel build must not take an equal file for an old one.
    utimesSync(path, now, now);
  }
  writeWhole(stampFile, Buffer.from(JSON.stringify({ inputs, files: names } satisfies Stamp)));
  removeOldFiles(folder, files);
  return true;
}

function isPage(name: string): boolean {
  return name.endsWith('.html');
}

function hashInputs(): string {
  const hash = createHash('sha256');
  const names = globSync(INPUTS, { cwd: PROJECT, withFileTypes: true })
    .filter((entry) => entry.isFile() && !TESTS.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  for (const name of names) {
    const bytes = readFileSync(name);
    hash.update(`${name.slice(PROJECT.length)}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex');
}

function readStamp(file: string): Stamp | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

function isBuilt(folder: string, stamp: Stamp | null, inputs: string): boolean {
  return stamp?.inputs === inputs && stamp.files.every((name) => existsSync(join(folder, name)));
}

/** @returns the bytes of each file, by path in the folder */
async function bundle(): Promise<Map<string, Uint8Array>> {
  // Loaded here: most calls find the page built.
  const [{ build }, { collectLicences }] = await Promise.all([
    import('vite'),
    import('./bundled-licences.ts'),
  ]);
  // Vite would build another page for tests.
  const { NODE_ENV } = process.env;
  process.env.NODE_ENV = 'production';
  const built = await build({
    configFile: join(PROJECT, 'web/vite.config.ts'),
    configLoader: 'native',
    logLevel: 'warn',
    build: { write: false },
  }).finally(() => {
    if (NODE_ENV === undefined) delete process.env.NODE_ENV;
    else process.env.NODE_ENV = NODE_ENV;
  });
  if (!('output' in built)) throw new Error('Vite built more than once.');
  const files = new Map<string, Uint8Array>();
  const modules = new Set<string>();
  for (const file of built.output) {
    files.set(file.fileName, Buffer.from(file.type === 'chunk' ? file.code : file.source));
    if (file.type === 'chunk') for (const path of file.moduleIds) modules.add(path);
  }
  files.set(
    'licences.txt',
    Buffer.from(collectLicences([...modules].filter((path) => path.startsWith('/')))),
  );
  return files;
}

function removeOldFiles(folder: string, files: ReadonlyMap<string, unknown>): void {
  const page = join(folder, 'page');
  mkdirSync(page, { recursive: true });
  for (const entry of globSync('**', { cwd: page, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || files.has(path.slice(folder.length + 1))) continue;
    const changedMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (Date.now() - changedMs > OLD_FILES_MS) rmSync(path, { force: true });
  }
}
