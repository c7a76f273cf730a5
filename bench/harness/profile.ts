import { format } from './report.ts';
import type { Workerd } from './workerd.ts';

const SAMPLE_MICROSECONDS = 500;
const FUNCTIONS_SHOWN_MAX = 30;

interface ProfileNode {
  id: number;
  callFrame: { functionName: string; lineNumber: number };
  hitCount?: number;
  children?: number[];
}

/**
 * Tells where the Worker's time goes while `work` runs: each function's own share of the samples, one per line. Does
 * nothing unless the Worker has an inspector. The inspector costs time, so the figures of such a run do not count.
 */
export async function profileWorker<T>(
  { inspectorUrl }: Workerd,
  tell: (line: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  if (inspectorUrl === null) return work();
  const inspector = await openInspector(inspectorUrl);
  try {
    await inspector.send('Profiler.enable');
    await inspector.send('Profiler.setSamplingInterval', { interval: SAMPLE_MICROSECONDS });
    await inspector.send('Profiler.start');
    const result = await work();
    const { profile } = (await inspector.send('Profiler.stop')) as { profile: { nodes: ProfileNode[] } };
    for (const line of listOwnShares(profile.nodes)) tell(line);
    return result;
  } finally {
    inspector.close();
  }
}

/** `12.3 %  name (line of the built Worker)`, largest first. */
function listOwnShares(nodes: readonly ProfileNode[]): string[] {
  const shares = new Map<string, number>();
  let total = 0;
  for (const { callFrame, hitCount = 0 } of nodes) {
    total += hitCount;
    const name = `${callFrame.functionName || '(anonymous)'} (${callFrame.lineNumber + 1})`;
    shares.set(name, (shares.get(name) ?? 0) + hitCount);
  }
  return [...shares]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, FUNCTIONS_SHOWN_MAX)
    .map(([name, hits]) => `${format((hits / total) * 100).padStart(8)} %  ${name}`);
}

interface Inspector {
  send(method: string, params?: object): Promise<unknown>;
  close(): void;
}

/** Speaks the DevTools protocol to the one Worker of a workerd. */
async function openInspector(url: string): Promise<Inspector> {
  const targets = (await (await fetch(`${url}/json`)).json()) as { webSocketDebuggerUrl: string }[];
  const target = targets[0];
  if (target === undefined) throw new Error('the inspector has nothing to show');
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true });
    socket.addEventListener('error', reject, { once: true });
  });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  socket.addEventListener('message', ({ data }) => {
    const { id, result, error } = JSON.parse(String(data)) as {
      id?: number;
      result?: unknown;
      error?: { message: string };
    };
    const waiter = id === undefined ? undefined : waiting.get(id);
    if (id !== undefined) waiting.delete(id);
    if (error === undefined) waiter?.resolve(result);
    else waiter?.reject(new Error(error.message));
  });
  let last = 0;
  return {
    send(method, params = {}) {
      const id = ++last;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        socket.send(JSON.stringify({ id, method, params }));
      });
    },
    close: () => socket.close(),
  };
}
