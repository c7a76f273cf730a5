import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { killTree, readProcessStart, type StartedProcess } from './process.ts';

interface ProcessRecord {
  name: string;
  pid: number;
  /** With the pid it names one process for ever: a pid alone is given again. */
  start: string;
}

/** The process that uses a folder, and the processes that it started, for the next start to find. */
interface RunRecord {
  owner: ProcessRecord;
  processes: ProcessRecord[];
}

export interface RunLock {
  /** Notes a process, so that the next start ends it if this one cannot. */
  record(started: StartedProcess): void;
  release(): void;
}

export class AlreadyRunning extends Error {
  readonly pid: number;

  constructor(dir: string, pid: number) {
    super(`Process ${pid} runs on ${dir} already: stop it first (kill ${pid}), or use what it has started.`);
    this.pid = pid;
  }
}

const FILE = 'run.json';

/**
 * Takes a folder for this process. It first ends the processes of a dead owner.
 * Throws {@link AlreadyRunning}.
 */
export async function acquireRunLock(dir: string, log: (line: string) => void): Promise<RunLock> {
  mkdirSync(dir, { recursive: true });
  const file = join(dir, FILE);
  const owner = { name: 'owner', pid: process.pid, start: readProcessStart(process.pid) ?? '' };
  const record: RunRecord = { owner, processes: [] };
  while (!createWhole(file, record)) await clearStale(dir, file, log);
  return {
    record: ({ name, pid }) => {
      const start = readProcessStart(pid);
      if (start === null) return;
      record.processes = [...record.processes.filter(isRunning), { name, pid, start }];
      replaceWhole(file, record);
    },
    release: () => rmSync(file, { force: true }),
  };
}

/** Ends what a dead owner has left in a folder. @returns false where its owner lives. */
export async function endAbandoned(dir: string, log: (line: string) => void): Promise<boolean> {
  const record = readRecord(join(dir, FILE));
  if (record === null) return true;
  if (isRunning(record.owner)) return false;
  for (const left of record.processes.filter(isRunning)) {
    log(`ending ${left.name} (process ${left.pid}), which an earlier run has left`);
    await killTree(left.pid);
  }
  return true;
}

async function clearStale(dir: string, file: string, log: (line: string) => void): Promise<void> {
  const found = readRecord(file);
  if (!(await endAbandoned(dir, log))) throw new AlreadyRunning(dir, found?.owner.pid ?? 0);
  const aside = `${file}.stale-${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  const taken = readRecord(aside);
  // Another start may have cleared and taken it since: then what was moved is its record.
  if (taken !== null && isRunning(taken.owner)) createWhole(file, taken);
  rmSync(aside, { force: true });
}

function isRunning({ pid, start }: ProcessRecord): boolean {
  return readProcessStart(pid) === start;
}

/** @returns false where the file is there. Nobody ever sees it half written. */
function createWhole(file: string, record: RunRecord): boolean {
  const written = writeAside(file, record);
  try {
    linkSync(written, file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(written, { force: true });
  }
}

function replaceWhole(file: string, record: RunRecord): void {
  renameSync(writeAside(file, record), file);
}

function writeAside(file: string, record: RunRecord): string {
  const written = `${file}.${process.pid}`;
  writeFileSync(written, JSON.stringify(record, null, 2), { mode: 0o600 });
  return written;
}

/** A damaged record is as good as none. */
function readRecord(file: string): RunRecord | null {
  try {
    const record = JSON.parse(readFileSync(file, 'utf8')) as Partial<RunRecord>;
    return record.owner !== undefined && Array.isArray(record.processes) ? (record as RunRecord) : null;
  } catch {
    return null;
  }
}
