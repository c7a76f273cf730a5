/**
 * `npm run prepare`: builds dist/. npm runs it after an install in this folder, and before it packs or links the folder.
 * It is JavaScript because a clone that was never installed has only the Node of the machine, which may not read TypeScript.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const PROJECT = resolve(import.meta.dirname, '..');
const { npm_command: command, npm_config_local_prefix: installedFolder, npm_execpath: npm } = process.env;

const isInstalled = ['esbuild', 'typescript'].every((name) =>
  existsSync(join(PROJECT, 'node_modules', name)),
);
const isInstallingHere = /^(ci|install)$/.test(command ?? '') && installedFolder === PROJECT;

if (isInstalled) run('node', ['dev/build.ts']);
else if (npm === undefined || isInstallingHere)
  refuse('Building worldkeep needs its development dependencies: run `npm ci` without --omit=dev.');
// The install runs this script again, which then builds. Options that the caller gave npm, such as --dry-run, are not for it.
else
  run(process.execPath, [
    npm,
    'ci',
    `--prefix=${PROJECT}`,
    ...['--include=dev', '--include=optional', '--no-dry-run', '--no-global', '--no-audit', '--no-fund'],
  ]);

/** @param {string} program @param {string[]} args */
function run(program, args) {
  // stdout belongs to npm, which may print JSON there.
  const { status, error } = spawnSync(program, args, { cwd: PROJECT, stdio: ['ignore', 2, 2] });
  if (error) refuse(`${program} cannot be started: ${error.message}`);
  process.exitCode = status ?? 1;
}

/** @param {string} message */
function refuse(message) {
  console.error(message);
  process.exitCode = 1;
}
