import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const dirs = new Set<string>();

// However this process ends: the folders hold the passwords of the stores.
process.on('exit', () => {
  for (const dir of dirs) removeDir(dir);
});

/** Makes a folder that is deleted at the latest when this process ends. */
export function makeDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'worldkeep-bench-'));
  dirs.add(dir);
  return dir;
}

export function removeDir(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
  dirs.delete(dir);
}
