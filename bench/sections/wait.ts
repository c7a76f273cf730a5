import { type Bench, repeat } from '../harness/bench.ts';
import { requireAll } from '../harness/load.ts';
import { type CpuTaken, measureCpu } from '../harness/processes.ts';
import { profileWorker } from '../harness/profile.ts';
import { describeCpu, type Figure } from '../harness/report.ts';
import { withLoad, withSpace, withWorker } from '../harness/setting.ts';

const P50_MS_MAX = 15;
const P99_MS_MAX = 100;

interface Measured {
  p50: number;
  p99: number;
  updates: number;
  seconds: CpuTaken;
}

/** One client that waits for the commit of each request before it sends the next. */
export async function measureWait(bench: Bench): Promise<Figure[]> {
  const { sizes } = bench;
  const { opsPerRequest } = sizes;
  const { requests, warmUpRequests } = sizes.wait;
  const taken = await withWorker(bench, {}, (setting) =>
    withSpace(setting, sizes.hotObjects, (inSpace) =>
      repeat(bench, 'wait', (seed) =>
        withLoad(
          inSpace,
          { opsPerRequest, seed, headers: { Prefer: 'wait' } },
          async (load): Promise<Measured> => {
            const phase = { connections: 1, seconds: null, requestsPerSecond: null };
            requireAll(await load.run({ ...phase, requests: warmUpRequests }), 200);
            const { result, seconds } = await measureCpu({ ...setting.processes, load: load.pid }, () =>
              profileWorker(setting.worker, bench.tell, () => load.run({ ...phase, requests })),
            );
            requireAll(result, 200);
            const updates = requests * opsPerRequest;
            if (result.accepted !== updates) throw new Error(`${result.accepted} of ${updates} were applied`);
            return { p50: result.latencyMs.p50, p99: result.latencyMs.p99, updates, seconds };
          },
        ),
      ),
    ),
  );
  const section = `wait, ${opsPerRequest} updates committed and answered`;
  return [
    {
      section,
      what: 'p50',
      unit: 'ms',
      measure: 'ms for 100 durable updates',
      values: taken.map(({ p50 }) => p50),
      due: { atMost: P50_MS_MAX },
      note: `one client, ${requests} requests. ${describeCpu(taken)}`,
    },
    { section, what: 'p99', unit: 'ms', values: taken.map(({ p99 }) => p99), due: { atMost: P99_MS_MAX } },
  ];
}
