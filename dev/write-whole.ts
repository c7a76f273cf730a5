import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** In the file system of the built files, and outside the folder that wrangler reads. */
const TEMPORARY = resolve(import.meta.dirname, '../dist');
let written = 0;

/** A parallel reader never sees half a file: builds may run at the same time. An equal file stays: wrangler restarts after a change. */
export function writeWhole(path: string, bytes: Uint8Array): void {
  if (
    statSync(path, { throwIfNoEntry: false })?.size === bytes.length &&
    readFileSync(path).compare(bytes) === 0
  )
    return;
  mkdirSync(dirname(path), { recursive: true });
  const temporary = join(TEMPORARY, `.writing-${process.pid}-${written++}`);
  writeFileSync(temporary, bytes);
  renameSync(temporary, path);
}
