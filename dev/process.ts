import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A process that was started here. It leads a process group of its own, so Ctrl-C reaches only its starter. */
export interface StartedProcess {
  name: string;
  pid: number;
  /** Settles when it has ended; never rejects. */
  exited: Promise<string>;
  /** How it ended, or null while it runs. */
  ended(): string | null;
}

export interface ProcessOptions {
  name: string;
  command: string;
  args: readonly string[];
  /** Replaces the environment. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** Receives stdout and stderr; emptied at every start. */
  logFile: string;
  /** The signal for its group when this process ends without stopping it. */
  lastSignal: NodeJS.Signals;
}

const POLL_MS = 20;
const running = new Map<number, NodeJS.Signals>();

// The last net, under a crash and under process.exit(): it can only signal, not wait.
process.on('exit', () => {
  for (const [pid, signal] of running) signalGroup(pid, signal);
});

/** Starts a process. Rejects where the command cannot be run. */
export async function startProcess(options: ProcessOptions): Promise<StartedProcess> {
  const log = openSync(options.logFile, 'w', 0o600);
  let child: ChildProcess;
  try {
    child = spawn(options.command, options.args, {
      detached: true,
      stdio: ['ignore', log, log],
      env: options.env ?? process.env,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    });
  } finally {
    closeSync(log);
  }
  const { pid } = await new Promise<ChildProcess>((resolve, reject) => {
    child.once('spawn', () => resolve(child));
    child.once('error', reject);
  });
  if (pid === undefined) throw new Error(`${options.name} has no process id`);
  running.set(pid, options.lastSignal);
  let outcome: string | null = null;
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      // Remaining processes of its group end too, while the group's number still belongs to this group.
      signalGroup(pid, 'SIGKILL');
      running.delete(pid);
      outcome = signal === null ? `exit code ${code}` : `signal ${signal}`;
      resolve(outcome);
    });
  });
  return { name: options.name, pid, exited, ended: () => outcome };
}

/** Sends `signal` to the group, waits for its leader, and after `graceMs` kills what is left of the tree. */
export async function stopProcess(
  started: StartedProcess,
  signal: NodeJS.Signals,
  graceMs: number,
): Promise<void> {
  signalGroup(started.pid, signal);
  await Promise.race([started.exited, delay(graceMs, undefined, { ref: false })]);
  await killProcess(started);
}

/** Sends SIGKILL to the whole tree, as a power cut. Returns when none of it runs. */
export async function killProcess(started: StartedProcess): Promise<void> {
  if (started.ended() === null) await killTree(started.pid);
  await started.exited;
}

/** Kills a process, its group and all its descendants, and waits until they are gone. */
export async function killTree(pid: number): Promise<void> {
  // Stopped first, so that it makes no child between the listing and the kill.
  signalProcess(pid, 'SIGSTOP');
  const tree = new Map([pid, ...listDescendants(pid)].map((member) => [member, readProcessStart(member)]));
  signalGroup(pid, 'SIGKILL');
  for (const member of tree.keys()) signalProcess(member, 'SIGKILL');
  for (const [member, start] of tree)
    while (start !== null && readProcessStart(member) === start) await delay(POLL_MS);
}

/**
 * The start of a process, in a text that no other process of this machine has. A pid alone may belong to another process by now.
 * @returns null where no such process runs (a zombie does not).
 */
export function readProcessStart(pid: number): string | null {
  if (process.platform === 'linux') {
    const stat = readStat(pid);
    return stat === null || stat.state === 'Z' ? null : `${readBootId()} ${stat.startTicks}`;
  }
  try {
    const [state, ...start] = execFileSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
      .trim()
      .split(/\s+/);
    return state === undefined || state === '' || state.startsWith('Z') ? null : start.join(' ');
  } catch {
    return null;
  }
}

/** The pid of a running process's parent, or null. */
export function readParent(pid: number): number | null {
  return listParents().find(([member]) => member === pid)?.[1] ?? null;
}

/** The command line of a running process, or null. */
export function readCommandLine(pid: number): string | null {
  try {
    if (process.platform === 'linux')
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return execFileSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  signalProcess(-pid, signal);
}

/** The processes that a process has started, and the processes that those have started. */
export function listDescendants(root: number): number[] {
  const parents = listParents();
  const found = new Set([root]);
  for (let before = 0; before < found.size; ) {
    before = found.size;
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid);
  }
  found.delete(root);
  return [...found];
}

function listParents(): [pid: number, parent: number][] {
  if (process.platform === 'linux')
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0)
      .flatMap((pid) => {
        const stat = readStat(pid);
        return stat === null ? [] : [[pid, stat.parent] as [number, number]];
      });
  return execFileSync('ps', ['-axo', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
}

function readStat(pid: number): { state: string; parent: number; startTicks: string } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold spaces and parentheses; the fields begin behind the last one.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', parent: Number(fields[1]), startTicks: fields[19] ?? '' };
  } catch {
    return null;
  }
}

function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
