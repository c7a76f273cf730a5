import { join } from 'node:path';
import { type Bench, repeat } from '../harness/bench.ts';
import { type Load, openLoad, requireAll } from '../harness/load.ts';
import { measureCpu } from '../harness/processes.ts';
import type { Figure } from '../harness/report.ts';
import { startWorkerd } from '../harness/workerd.ts';

const BASELINE = 'a Durable Object';

/** One Durable Object with SQLite in workerd: the rows of a request upserted in one transaction, answered once it is durable. */
export async function measureDurableObject(bench: Bench): Promise<Figure[]> {
  const { sizes } = bench;
  const rates: number[] = [];
  const hundreds: number[] = [];
  const cpu: number[] = [];
  await repeat(bench, BASELINE, async (run) => {
    const worker = await startWorkerd({
      modulePath: join(import.meta.dirname, 'durable-object-worker.js'),
      durableObjectClass: 'World',
      readyPath: '/',
      buildVariables: () => ({}),
    });
    let load: Load | null = null;
    try {
      const running = await openLoad({
        ...{ url: worker.url, headers: {}, objects: sizes.hotObjects, opsPerRequest: sizes.opsPerRequest },
        seed: run,
      });
      load = running;
      const alone = {
        connections: 1,
        seconds: null,
        requests: sizes.baseline.hundreds,
        requestsPerSecond: null,
      };
      const one = await running.run(alone);
      requireAll(one, 202);
      hundreds.push(one.latencyMs.p50);
      const { seconds } = sizes.baseline;
      const phase = { connections: sizes.connections, seconds, requests: null, requestsPerSecond: null };
      const { result: many, seconds: taken } = await measureCpu({ workerd: worker.pid }, () =>
        running.run(phase),
      );
      requireAll(many, 202);
      rates.push(many.accepted / many.seconds);
      cpu.push((taken.total / many.accepted) * 1e6);
      const { rows } = (await (await fetch(worker.url)).json()) as { rows: number };
      if (rows !== Math.min(sizes.hotObjects, (many.requests + one.requests) * sizes.opsPerRequest))
        throw new Error(`the object has ${rows} rows`);
    } finally {
      await load?.close();
      await worker.stop();
    }
  });
  const shared = { section: 'baselines', baseline: BASELINE };
  return [
    {
      ...shared,
      ...{ what: `${BASELINE} with SQLite, rows upserted per batch of ${sizes.opsPerRequest}` },
      ...{ unit: 'durable updates/s', measure: 'updates/s', values: rates },
      note: 'without authentication and validation',
    },
    {
      ...{ ...shared, what: `${BASELINE}: 100 updates of one client`, unit: 'ms, p50' },
      ...{ measure: 'ms for 100 durable updates', values: hundreds },
    },
    {
      ...{ ...shared, what: `${BASELINE}: CPU at saturation`, unit: 'µs an update' },
      ...{ measure: 'CPU µs an update', values: cpu },
    },
  ];
}
