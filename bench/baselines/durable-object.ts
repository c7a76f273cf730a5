import { join } from 'node:path';
import { type Bench, repeat } from '../harness/bench.ts';
import { type Load, openLoad, requireAll } from '../harness/load.ts';
import type { MoveForm } from '../harness/operations.ts';
import { measureCpu } from '../harness/processes.ts';
import type { Figure } from '../harness/report.ts';
import { startWorkerd } from '../harness/workerd.ts';

/** The baseline's name, as what is due names it. */
export const DURABLE_OBJECT_RATE = 'a Durable Object';

interface Measured {
  updatesPerSecond: number;
  cpuMicroseconds: number;
  hundredMs: number;
}

/**
 * One Durable Object with SQLite in workerd: the rows of a request upserted in one transaction, answered once it is durable. It
 * gets the bodies that the functions get: patches, and then moves.
 */
export async function measureDurableObject(bench: Bench): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const form of ['patch', 'move'] as const) {
    const taken = await repeat(bench, `${DURABLE_OBJECT_RATE}, ${form}`, (seed) =>
      measureOnce(bench, form, seed),
    );
    const shared = { section: 'baselines', baseline: DURABLE_OBJECT_RATE };
    const bodies = form === 'move' ? 'moves' : 'patches';
    figures.push({
      ...shared,
      what: `${DURABLE_OBJECT_RATE} with SQLite, ${bodies}, rows upserted per batch of ${bench.sizes.opsPerRequest}`,
      unit: 'durable updates/s',
      measure: form === 'move' ? 'updates/s, moves' : 'updates/s',
      values: taken.map(({ updatesPerSecond }) => updatesPerSecond),
      note: 'without authentication and validation',
    });
    if (form === 'move') continue;
    figures.push(
      {
        ...shared,
        what: `${DURABLE_OBJECT_RATE}: 100 updates of one client`,
        unit: 'ms, p50',
        measure: 'ms for 100 durable updates',
        values: taken.map(({ hundredMs }) => hundredMs),
      },
      {
        ...shared,
        what: `${DURABLE_OBJECT_RATE}: CPU at saturation`,
        unit: 'µs an update',
        measure: 'CPU µs an update',
        values: taken.map(({ cpuMicroseconds }) => cpuMicroseconds),
      },
    );
  }
  return figures;
}

async function measureOnce({ sizes }: Bench, form: MoveForm, seed: number): Promise<Measured> {
  const worker = await startWorkerd({
    modulePath: join(import.meta.dirname, 'durable-object-worker.js'),
    durableObjectClass: 'World',
    readyPath: '/',
    buildVariables: () => ({}),
  });
  let load: Load | null = null;
  try {
    const { hotObjects: objects, opsPerRequest } = sizes;
    const running = await openLoad({ url: worker.url, headers: {}, objects, opsPerRequest, seed, form });
    load = running;
    const { hundreds: requests, seconds } = sizes.baseline;
    const one = await running.run({ connections: 1, seconds: null, requests, requestsPerSecond: null });
    requireAll(one, 202);
    const phase = { connections: sizes.connections, seconds, requests: null, requestsPerSecond: null };
    const { result: many, seconds: cpu } = await measureCpu({ workerd: worker.pid }, () =>
      running.run(phase),
    );
    requireAll(many, 202);
    const { rows } = (await (await fetch(worker.url)).json()) as { rows: number };
    if (rows !== Math.min(objects, (many.requests + one.requests) * opsPerRequest))
      throw new Error(`the object has ${rows} rows`);
    return {
      updatesPerSecond: many.accepted / many.seconds,
      cpuMicroseconds: (cpu.total / many.accepted) * 1e6,
      hundredMs: one.latencyMs.p50,
    };
  } finally {
    await load?.close();
    await worker.stop();
  }
}
