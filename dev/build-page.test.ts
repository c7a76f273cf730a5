import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildPage } from './build-page.ts';

let parent: string;
let folder: string;
let stamp: string;
beforeAll(() => {
  parent = mkdtempSync(join(tmpdir(), 'worldkeep-page-'));
  folder = join(parent, 'assets');
  stamp = join(parent, 'page.json');
});
afterAll(() => rmSync(parent, { recursive: true }));

/** The files that a page names. */
function readNamed(page: string): string[] {
  const html = readFileSync(join(folder, page), 'utf8');
  return [...html.matchAll(/(?:src|href)="(\/page\/[^"]+)"/g)].map(([, path = '']) => path);
}

it('builds pages whose files have hashes in their names, without source maps or inline scripts', async () => {
  expect(await buildPage(folder, stamp)).toBe(true);
  expect(readdirSync(folder).toSorted()).toEqual(['index.html', 'licences.txt', 'ops.html', 'page']);
  for (const page of ['index.html', 'ops.html']) {
    const named = readNamed(page);
    expect(named.length).toBeGreaterThan(0);
    for (const path of named) expect([path, existsSync(join(folder, path))]).toEqual([path, true]);
    expect(readFileSync(join(folder, page), 'utf8')).not.toMatch(
      /<script(?![^>]* src=)|<style|\sstyle=|\son\w+=/,
    );
  }
  for (const name of readdirSync(join(folder, 'page'))) {
    expect(name).toMatch(/-[\w-]{8}\.\w+$/);
    expect(readFileSync(join(folder, 'page', name), 'latin1')).not.toContain('sourceMappingURL');
  }
  const licences = readFileSync(join(folder, 'licences.txt'), 'utf8');
  for (const name of ['idb-keyval', 'uplot', '@tanstack/virtual-core']) expect(licences).toContain(name);
});

it('gives each page only its own code', () => {
  const readCode = (page: string) =>
    readNamed(page)
      .filter((path) => path.endsWith('.js'))
      .map((path) => readFileSync(join(folder, path), 'utf8'))
      .join('\n');
  const [world, ops] = [readCode('index.html'), readCode('ops.html')];
  // Names that only these packages have.
  for (const [name, code] of [
    ['u-cursor-x', ops],
    ['getVirtualItems', ops],
    ['WebGLRenderer', world],
  ] as const)
    expect([world, ops].filter((text) => text.includes(name))).toEqual([code]);
});

it('builds again only if an input has changed or a file is missing', async () => {
  expect(await buildPage(folder, stamp)).toBe(false);
  writeFileSync(stamp, readFileSync(stamp, 'utf8').replace(/"inputs":"./, '"inputs":"x'));
  expect(await buildPage(folder, stamp)).toBe(true);
  expect(await buildPage(folder, stamp)).toBe(false);
  rmSync(join(folder, 'index.html'));
  expect(await buildPage(folder, stamp)).toBe(true);
  expect(existsSync(join(folder, 'index.html'))).toBe(true);
});

it('removes files of earlier builds, unless a browser or a parallel build may still use them', async () => {
  const [old, young] = ['old-12345678.js', 'young-12345678.js'].map((name) => join(folder, 'page', name));
  for (const path of [old, young]) writeFileSync(path as string, '');
  const longAgo = new Date(Date.now() - 3_600_000);
  utimesSync(old as string, longAgo, longAgo);
  rmSync(stamp);
  const built = readdirSync(join(folder, 'page')).filter((name) => !name.endsWith('12345678.js'));
  for (const name of built) utimesSync(join(folder, 'page', name), longAgo, longAgo);
  expect(await buildPage(folder, stamp)).toBe(true);
  expect(readdirSync(join(folder, 'page')).toSorted()).toEqual([...built, 'young-12345678.js'].toSorted());
});
