import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type Bench, repeat } from '../harness/bench.ts';
import { type CpuTaken, measureCpu } from '../harness/processes.ts';
import { describeCpu, type Figure } from '../harness/report.ts';
import { makeSpace } from '../harness/space.ts';
import { percentile } from '../harness/statistics.ts';
import { startWorker } from '../harness/worker.ts';

export interface UpdateTask {
  databaseUrl: string;
  databaseHttpUrl: string;
  tenantId: string;
  spaceId: string;
  objects: number;
}

export interface UpdatePhase {
  updates: number;
  /** The number of updates in flight at the same time. */
  concurrency: number;
}

export interface UpdateResult {
  seconds: number;
}

const BASELINE = 'one Drizzle UPDATE an object';
const HUNDRED = 100;

/** Measures the cost of one write per update. */
export async function measureDrizzleUpdate(bench: Bench): Promise<Figure[]> {
  const { sizes } = bench;
  const stack = await bench.openStack();
  const updates = sizes.baseline.drizzleUpdates;
  const rates: number[] = [];
  const hundreds: number[] = [];
  const cpu: { seconds: CpuTaken; updates: number }[] = [];
  try {
    const worker = await startWorker(bench.workerPath, stack.values);
    const { address } = await makeSpace(stack, worker.url, sizes.hotObjects).finally(worker.stop);
    const { databaseUrl, databaseHttpUrl } = stack.values;
    const task: UpdateTask = { databaseUrl, databaseHttpUrl, ...address, objects: sizes.hotObjects };
    await repeat(bench, BASELINE, async () => {
      const child = fork(join(import.meta.dirname, 'drizzle-update-process.ts'), {
        execArgv: [],
        env: { ...process.env, BENCH_UPDATES: JSON.stringify(task) },
      });
      const exited = once(child, 'exit');
      const receive = () =>
        Promise.race([
          once(child, 'message').then(([message]) => message as UpdateResult),
          exited.then(([code]) => Promise.reject(new Error(`the updates ended with ${code}`))),
        ]);
      const run = (phase: UpdatePhase) => {
        const received = receive();
        child.send(phase);
        return received;
      };
      try {
        await receive();
        const times: number[] = [];
        for (let i = 0; i < sizes.baseline.hundreds / 10; i++)
          times.push((await run({ updates: HUNDRED, concurrency: sizes.connections })).seconds * 1_000);
        hundreds.push(percentile(times, 50));
        const processes = { ...stack.processes, client: child.pid ?? 0 };
        const { result, seconds } = await measureCpu(processes, () =>
          run({ updates, concurrency: sizes.connections }),
        );
        rates.push(updates / result.seconds);
        cpu.push({ seconds, updates });
      } finally {
        if (child.connected) child.disconnect();
        await exited.catch(() => undefined);
      }
    });
  } finally {
    await stack.stop();
  }
  const shared = { section: 'baselines', baseline: BASELINE };
  return [
    {
      ...shared,
      what: `${BASELINE}, through the same client`,
      unit: 'durable updates/s',
      measure: 'updates/s',
      values: rates,
      note: `${sizes.connections} in flight at the same time, from one Node process; without authentication and validation`,
    },
    {
      ...shared,
      what: `${BASELINE}: 100 updates of one client`,
      unit: 'ms, p50',
      values: hundreds,
      measure: 'ms for 100 durable updates',
      note: `${sizes.connections} in flight at the same time`,
    },
    {
      ...shared,
      what: `${BASELINE}: CPU at saturation`,
      unit: 'µs an update',
      measure: 'CPU µs an update',
      values: cpu.map(({ seconds }) => (seconds.total / updates) * 1e6),
      note: describeCpu(cpu),
    },
  ];
}
