import { setTimeout as delay } from 'node:timers/promises';
import { type Bench, repeat } from '../harness/bench.ts';
import { requireAll } from '../harness/load.ts';
import { type CpuTaken, measureCpu } from '../harness/processes.ts';
import { describeCpu, type Figure, format } from '../harness/report.ts';
import { withLoad, withSpace, withWorker } from '../harness/setting.ts';
import { mean } from '../harness/statistics.ts';

const MICROSECONDS_MAX = 60;
/** Long enough for the runtime to compile the code fully. */
const WARM_UP_SHARE = 0.2;

interface Measured {
  updates: number;
  seconds: CpuTaken;
  /** The CPU time of the same processes in a second without requests. */
  idleSecondsPerSecond: number;
}

/** The cost of a quiet world: CPU of all processes except the load, at a rate that leaves most of the machine idle. */
export async function measureIdleCpu(bench: Bench): Promise<Figure[]> {
  const { sizes } = bench;
  const { seconds, updatesPerSecond } = sizes.idleCpu;
  const { opsPerRequest, connections } = sizes;
  const taken = await withWorker(bench, {}, (setting) =>
    withSpace(setting, sizes.hotObjects, (inSpace) =>
      repeat(bench, 'idle-cpu', (seed) =>
        withLoad(inSpace, { opsPerRequest, seed }, async (load): Promise<Measured> => {
          const phase = { connections, requests: null, requestsPerSecond: updatesPerSecond / opsPerRequest };
          const idleSeconds = seconds * WARM_UP_SHARE;
          const idle = await measureCpu(setting.processes, () => delay(idleSeconds * 1_000));
          requireAll(await load.run({ ...phase, seconds: idleSeconds }), 202);
          const { result, seconds: cpu } = await measureCpu(setting.processes, async () => {
            const sent = await load.run({ ...phase, seconds });
            await inSpace.watch.waitUntilDrained();
            return sent;
          });
          requireAll(result, 202);
          return {
            updates: result.accepted,
            seconds: cpu,
            idleSecondsPerSecond: idle.seconds.total / idleSeconds,
          };
        }),
      ),
    ),
  );
  const idle = (mean(taken.map(({ idleSecondsPerSecond }) => idleSecondsPerSecond)) * 1e6) / updatesPerSecond;
  return [
    {
      section: `idle-cpu, ${format(updatesPerSecond)} updates/s`,
      what: 'CPU of the functions, Redis and Postgres',
      unit: 'µs an update',
      measure: 'CPU µs an update',
      values: taken.map(({ updates, seconds: { total } }) => (total / updates) * 1e6),
      due: { atMost: MICROSECONDS_MAX },
      note: `${format(opsPerRequest)} updates a request. ${describeCpu(taken)}; ${format(idle)} of it also without any load`,
    },
  ];
}
