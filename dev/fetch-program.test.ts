import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { findProgram, PROMTOOL, REDIS } from './fetch-program.ts';

let dir: string;
let cacheDir: string;
const lines: string[] = [];
const log = (line: string) => void lines.push(line);

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fetch-program-test-'));
  cacheDir = join(dir, 'cache');
  mkdirSync(join(dir, 'bin'));
  vi.stubEnv('PATH', join(dir, 'bin'));
  lines.length = 0;
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true });
});

function addProgram(name: string, script: string, mode = 0o755): string {
  const path = join(dir, 'bin', name);
  writeFileSync(path, script === '' ? '' : `#!/bin/sh\n${script}\n`);
  chmodSync(path, mode);
  return path;
}

it('takes a server from PATH, redis or valkey, that can be run', async () => {
  addProgram('redis-server', 'echo "Redis server v=7.0.15"', 0o644);
  const path = addProgram('valkey-server', 'echo "Valkey server v=8.1.1"');
  expect(await findProgram(REDIS, cacheDir, log)).toMatchObject({ path, version: 'Valkey server v=8.1.1' });
});

it('takes promtool from PATH, and not a program of another name', async () => {
  addProgram('prometheus', 'echo "prometheus, version 2.53.3"');
  const path = addProgram('promtool', 'echo "promtool, version 2.53.3"');
  expect(await findProgram(PROMTOOL, cacheDir, log)).toMatchObject({ path });
});

it.each([
  ['empty', ''],
  ['failing', 'exit 1'],
  ['something else', 'echo hello'],
])('passes over a file that is %s, and says how to install Redis', async (_, script) => {
  addProgram('redis-server', script);
  await expect(findProgram(REDIS, cacheDir, log)).rejects.toThrow(
    /^Redis is not installed, and this is no Debian.*: install it \(.*\.$/,
  );
});

it('takes the server that an earlier start has fetched', async () => {
  const bin = join(cacheDir, 'redis/usr/bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'redis-server'), '#!/bin/sh\necho "Redis server v=7.2.0"\n', { mode: 0o755 });
  expect(await findProgram(REDIS, cacheDir, log)).toMatchObject({ path: join(bin, 'redis-server') });
  expect(lines).toEqual([]);
});

it('says why it could not be fetched, and leaves nothing half done', async () => {
  addProgram('dpkg-deb', 'exit 1');
  addProgram('apt-get', 'echo "E: Could not resolve the name of the server" >&2; exit 100');
  await expect(findProgram(REDIS, cacheDir, log)).rejects.toThrow(
    'Redis is not installed and could not be fetched (Could not resolve the name of the server): install it',
  );
  expect(lines[0]).toContain('fetching it');
  expect(readdirSync(cacheDir)).toEqual([]);
});
