import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readProcessStart } from './process.ts';
import { AlreadyRunning, acquireRunLock, endAbandoned } from './run-lock.ts';

let dir: string;
let file: string;
const children: ChildProcess[] = [];
const lines: string[] = [];
const log = (line: string) => void lines.push(line);

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'run-lock-test-'));
  file = join(dir, 'run.json');
  lines.length = 0;
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(dir, { recursive: true });
});

async function startChild(): Promise<{ name: string; pid: number; start: string }> {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  children.push(child);
  await new Promise((resolve) => child.once('spawn', resolve));
  const pid = child.pid ?? 0;
  return { name: 'child', pid, start: readProcessStart(pid) ?? '' };
}

function writeRecord(record: unknown): void {
  writeFileSync(file, JSON.stringify(record));
}

const DEAD = { name: 'owner', pid: process.pid, start: 'before the last boot' };

it('is held by one at a time', async () => {
  const lock = await acquireRunLock(dir, log);
  await expect(acquireRunLock(dir, log)).rejects.toThrow(AlreadyRunning);
  await expect(acquireRunLock(dir, log)).rejects.toThrow(`Process ${process.pid} runs on ${dir} already`);
  lock.release();
  expect(existsSync(file)).toBe(false);
  (await acquireRunLock(dir, log)).release();
});

it('ends what a dead owner left, and nothing that only has its number', async () => {
  const [left, other] = [await startChild(), await startChild()];
  writeRecord({ owner: DEAD, processes: [left, { ...other, start: 'another start' }] });
  const lock = await acquireRunLock(dir, log);
  expect(readProcessStart(left.pid)).toBeNull();
  expect(readProcessStart(other.pid)).toBe(other.start);
  expect(lines).toEqual([`ending child (process ${left.pid}), which an earlier run has left`]);
  expect(JSON.parse(readFileSync(file, 'utf8')).owner.start).toBe(readProcessStart(process.pid));
  lock.release();
});

it('lets the processes of a living owner be', async () => {
  const [owner, child] = [await startChild(), await startChild()];
  writeRecord({ owner, processes: [child] });
  expect(await endAbandoned(dir, log)).toBe(false);
  await expect(acquireRunLock(dir, log)).rejects.toMatchObject({ pid: owner.pid });
  expect(readProcessStart(child.pid)).toBe(child.start);
});

it('takes a damaged record for none', async () => {
  writeFileSync(file, '{"owner":');
  const lock = await acquireRunLock(dir, log);
  const { name, pid } = await startChild();
  lock.record({ name, pid, exited: Promise.resolve(''), ended: () => null });
  const { processes } = JSON.parse(readFileSync(file, 'utf8'));
  expect(processes).toEqual([{ name, pid, start: readProcessStart(pid) }]);
  lock.release();
});

it('goes to one of many processes that start at the same time', async () => {
  writeRecord({ owner: DEAD, processes: [] });
  const starts = await Promise.allSettled(Array.from({ length: 8 }, () => acquireRunLock(dir, log)));
  expect(starts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});
