import { DURABLE_OBJECT_RATE } from '../baselines/durable-object.ts';
import { type Bench, repeat } from '../harness/bench.ts';
import { requireAll } from '../harness/load.ts';
import type { MoveForm } from '../harness/operations.ts';
import { type CpuTaken, measureCpu } from '../harness/processes.ts';
import { describeCpu, type Figure } from '../harness/report.ts';
import { withLoad, withSpace, withWorker } from '../harness/setting.ts';
import { ANY_BACKLOG } from '../harness/worker.ts';

interface Measured {
  updatesPerSecond: number;
  updates: number;
  seconds: CpuTaken;
}

/** Appends and drains at the same time, as fast as both can: from the first request until Postgres has the last update. */
export async function measureThrough(bench: Bench): Promise<Figure[]> {
  const figures: Figure[] = [];
  const atLeast = bench.runtime === 'node' ? 1.6 : 1;
  for (const form of ['patch', 'move'] as const) {
    const taken = await measureWith(bench, form);
    figures.push({
      section: 'through, accepted and committed',
      what: form === 'move' ? 'moves' : 'patches',
      unit: 'updates/s',
      measure: form === 'move' ? 'updates/s, moves' : 'updates/s',
      values: taken.map(({ updatesPerSecond }) => updatesPerSecond),
      due: { ratio: DURABLE_OBJECT_RATE, atLeast },
      note: describeCpu(taken),
    });
  }
  return figures;
}

function measureWith(bench: Bench, form: MoveForm): Promise<Measured[]> {
  const { opsPerRequest, connections, hotObjects, through } = bench.sizes;
  return withWorker(bench, ANY_BACKLOG, (setting) =>
    withSpace(setting, hotObjects, (inSpace) =>
      repeat(bench, `through, ${form}`, (seed) =>
        withLoad(inSpace, { opsPerRequest, seed, form }, async (load): Promise<Measured> => {
          const phase = { connections, seconds: null, requestsPerSecond: null };
          requireAll(await load.run({ ...phase, requests: through.warmUpUpdates / opsPerRequest }), 202);
          await inSpace.watch.waitUntilDrained();
          const startedAt = performance.now();
          const { result, seconds } = await measureCpu({ ...setting.processes, load: load.pid }, async () => {
            const sent = await load.run({ ...phase, requests: through.updates / opsPerRequest });
            await inSpace.watch.waitUntilDrained();
            return sent;
          });
          requireAll(result, 202);
          const took = (performance.now() - startedAt) / 1_000;
          return { updatesPerSecond: result.accepted / took, updates: result.accepted, seconds };
        }),
      ),
    ),
  );
}
