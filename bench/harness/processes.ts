import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** The unit of time in `/proc`, on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const KIB_PER_MIB = 1024;

/** The processes of a measurement, by name. A process counts without its children; only Postgres counts with them. */
export type Processes = Readonly<Record<string, number>>;

/** CPU time of each until now, in seconds: user and system, including its threads and its ended children. */
function readCpuSeconds(processes: Processes): Record<string, number> {
  return Object.fromEntries(
    Object.entries(processes).map(([name, pid]) => {
      const members = name === 'postgres' ? [pid, ...listChildren(pid)] : [pid];
      // When a child ends, the kernel adds its time to its parent.
      const ticks = members.map((member) => {
        const stat = readStat(member);
        if (stat === null) return 0;
        const own = Number(stat[11]) + Number(stat[12]);
        return member === pid && name === 'postgres' ? own + Number(stat[13]) + Number(stat[14]) : own;
      });
      return [name, ticks.reduce((a, b) => a + b, 0) / TICKS_PER_SECOND];
    }),
  );
}

/** Seconds by name. `total` leaves out the load and the emulators, because the platform does not have them. */
export type CpuTaken = Record<string, number> & { total: number };

const NOT_OURS: ReadonlySet<string> = new Set(['load', 'emulators']);

/** The CPU time of each process while `work` ran, in seconds, and `total`. */
export async function measureCpu<T>(
  processes: Processes,
  work: () => Promise<T>,
): Promise<{ result: T; seconds: CpuTaken }> {
  const before = readCpuSeconds(processes);
  const result = await work();
  const seconds = Object.fromEntries(
    Object.entries(readCpuSeconds(processes)).map(([name, now]) => [name, now - (before[name] ?? 0)]),
  );
  const total = Object.entries(seconds).reduce(
    (sum, [name, value]) => (NOT_OURS.has(name) ? sum : sum + value),
    0,
  );
  return { result, seconds: { ...seconds, total } };
}

/** Resident memory now, in MiB. A page that several Postgres processes share counts once. */
export function readMemoryMiB(processes: Processes): Record<string, number> {
  return Object.fromEntries(
    Object.entries(processes).map(([name, pid]) => {
      if (name !== 'postgres') return [name, readResidentMiB(pid)];
      const members = [pid, ...listChildren(pid)];
      return [name, members.reduce((total, member) => total + readShareMiB(member), 0)];
    }),
  );
}

/** Reads the memory every `everyMs`, until it is stopped. */
export function sampleMemory(
  processes: Processes,
  everyMs: number,
): { stop(): Promise<Record<string, number>[]> } {
  const samples: Record<string, number>[] = [];
  const end = new AbortController();
  const running = (async () => {
    while (!end.signal.aborted) {
      samples.push(readMemoryMiB(processes));
      await delay(everyMs, undefined, { signal: end.signal }).catch(() => undefined);
    }
  })();
  return {
    async stop() {
      end.abort();
      await running;
      return samples;
    },
  };
}

/** The parent of a running process. */
export function readParentPid(pid: number): number {
  const parent = Number(readStat(pid)?.[1]);
  if (!(parent > 0)) throw new Error(`no process ${pid} is running`);
  return parent;
}

/** The processes that a process started and that still run. */
export function listChildren(pid: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((member) => member > 0 && Number(readStat(member)?.[1]) === pid);
}

/** The fields after the name: state, parent, …; utime, stime, cutime and cstime are at 11 to 14. */
function readStat(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

function readResidentMiB(pid: number): number {
  return readKiB(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB$/m) / KIB_PER_MIB;
}

function readShareMiB(pid: number): number {
  return readKiB(`/proc/${pid}/smaps_rollup`, /^Pss:\s+(\d+) kB$/m) / KIB_PER_MIB;
}

/** 0 of a process that has just ended. */
function readKiB(path: string, line: RegExp): number {
  try {
    return Number(line.exec(readFileSync(path, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
