import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { killProcess, readProcessStart, type StartedProcess, startProcess, stopProcess } from './process.ts';

const dir = mkdtempSync(join(tmpdir(), 'process-test-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** Has a child in a session of its own, as Postgres's children are, and prints both pids. */
const PARENT = `
  const { spawn } = require('node:child_process');
  const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
  process.on('SIGTERM', () => { if (process.argv[1] !== 'stubborn') { child.kill('SIGKILL'); process.exit(3); } });
  console.log(process.pid + ' ' + child.pid);
  setInterval(() => undefined, 1000);`;

async function startParent(
  name: string,
  ...args: string[]
): Promise<{ started: StartedProcess; pids: number[] }> {
  const logFile = join(dir, `${name}.log`);
  const started = await startProcess({
    name,
    command: process.execPath,
    args: ['-e', PARENT, ...args],
    logFile,
    lastSignal: 'SIGKILL',
  });
  await expect.poll(() => readFileSync(logFile, 'utf8')).toMatch(/\d+ \d+\n/);
  return { started, pids: readFileSync(logFile, 'utf8').trim().split(' ').map(Number) };
}

const findRunning = (pids: number[]) => pids.filter((pid) => readProcessStart(pid) !== null);

describe('a started process', () => {
  it('is killed with all its descendants, in whatever group they are', async () => {
    const { started, pids } = await startParent('killed');
    expect(findRunning(pids)).toEqual([started.pid, pids[1]]);
    await killProcess(started);
    expect(findRunning(pids)).toEqual([]);
    expect(started.ended()).toBe('signal SIGKILL');
    await killProcess(started);
  });

  it('is asked to end, and killed if it does not', async () => {
    const polite = await startParent('polite');
    await stopProcess(polite.started, 'SIGTERM', 10_000);
    expect(polite.started.ended()).toBe('exit code 3');
    // It killed its child and went: the child is gone a moment later.
    await expect.poll(() => findRunning(polite.pids)).toEqual([]);
    const stubborn = await startParent('stubborn', 'stubborn');
    await stopProcess(stubborn.started, 'SIGTERM', 50);
    expect(stubborn.started.ended()).toBe('signal SIGKILL');
    expect(findRunning(stubborn.pids)).toEqual([]);
  });

  it('does not outlive a crash of its starter', async () => {
    const script = `
      import { startProcess } from '${join(import.meta.dirname, 'process.ts')}';
      const { pid } = await startProcess({
        name: 'left', command: 'sleep', args: ['600'], logFile: '${join(dir, 'left.log')}', lastSignal: 'SIGKILL',
      });
      console.log(pid);
      throw new Error('a crash');`;
    const node = process.execPath;
    const crash = promisify(execFile)(node, ['--input-type=module', '-e', script]);
    const { stdout, stderr } = await crash.then(
      () => expect.fail('it was to crash'),
      (error: { stdout: string; stderr: string }) => error,
    );
    expect(stderr).toContain('a crash');
    expect(Number(stdout)).toBeGreaterThan(1);
    await expect.poll(() => findRunning([Number(stdout)])).toEqual([]);
  });

  it('that cannot be started is an error', async () => {
    const nothing = { name: 'nothing', command: '/nothing', args: [], logFile: join(dir, 'nothing.log') };
    await expect(startProcess({ ...nothing, lastSignal: 'SIGKILL' })).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });
});

it('a process keeps its start, and no other has it', async () => {
  const start = readProcessStart(process.pid);
  expect(start).not.toBeNull();
  expect(readProcessStart(process.pid)).toBe(start);
  expect(readProcessStart(process.ppid)).not.toBe(start);
});
