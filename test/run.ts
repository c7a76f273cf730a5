/** `npm test`: Vitest, which also takes Mocha's `--grep PATTERN` (or `-g`) as its own `-t PATTERN`. */
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

const VITEST = resolve(import.meta.dirname, '../node_modules/vitest/vitest.mjs');

const args = process.argv.slice(2).map((arg) => arg.replace(/^(--grep|-g)(?==|$)/, '--testNamePattern'));
const { status } = spawnSync(process.execPath, [VITEST, 'run', ...args], { stdio: 'inherit' });
process.exitCode = status ?? 1;
