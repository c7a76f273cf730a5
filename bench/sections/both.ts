import { type Bench, repeat } from '../harness/bench.ts';
import type { Load, LoadResult } from '../harness/load.ts';
import { type CpuTaken, measureCpu, sampleMemory } from '../harness/processes.ts';
import { profileWorker } from '../harness/profile.ts';
import { describeCpu, type Figure, format, formatParts } from '../harness/report.ts';
import { type SpaceSetting, withLoad, withSpace, withWorker } from '../harness/setting.ts';
import { mean, median, percentile, sum } from '../harness/statistics.ts';

const LAG_EVERY_MS = 50;
const MEMORY_SAMPLES_MIN = 10;
const MEMORY_EVERY_MS_MAX = 1_000;
const LAG_P99_MS_MAX = 1_000;
const MEMORY_RATIO_MAX = 1.1;
/** A share of the offered rate: the last answer comes a little after the due time of the last request. */
const ACCEPTED_SHARE_MIN = 0.998;

interface Measured {
  updatesPerSecond: number;
  updates: number;
  statuses: string;
  requestP99Ms: number;
  lagMs: { p50: number; p99: number; max: number };
  /** The memory of the second half as a share of the first half's, by process and in total. */
  memoryRatios: Record<string, number>;
  memoryMiB: Record<string, number>;
  seconds: CpuTaken;
}

/** Appends and drains at the same time, at a fixed rate that does not wait for answers. */
export async function measureBoth(bench: Bench): Promise<Figure[]> {
  const { sizes } = bench;
  const { updatesPerSecond, seconds, warmUpSeconds } = sizes.both;
  const taken = await withWorker(bench, {}, (setting) =>
    repeat(bench, 'both', (seed) =>
      withSpace(setting, sizes.hotObjects, (inSpace) =>
        withLoad(inSpace, { opsPerRequest: sizes.opsPerRequest, seed }, (load) =>
          measureOnce(bench, inSpace, load),
        ),
      ),
    ),
  );
  const section = `both, ${seconds} s at ${format(updatesPerSecond)} updates/s offered`;
  const lag = (which: 'p50' | 'p99' | 'max') => taken.map(({ lagMs }) => lagMs[which]);
  const ofMemory = (name: string) => median(taken.map(({ memoryRatios }) => memoryRatios[name] ?? 0));
  const names = Object.keys(taken[0]?.memoryRatios ?? {});
  return [
    {
      section,
      what: 'accepted',
      unit: 'updates/s',
      measure: 'updates/s',
      values: taken.map((run) => run.updatesPerSecond),
      due: { atLeast: updatesPerSecond * ACCEPTED_SHARE_MIN },
      note: `after ${warmUpSeconds} s of the same; answers ${taken.map(({ statuses }) => statuses).join('; ')}; p99 of a request ${format(median(taken.map(({ requestP99Ms }) => requestP99Ms)))} ms. ${describeCpu(taken)}`,
    },
    { section, what: 'durability lag, p50', unit: 'ms', values: lag('p50') },
    {
      section,
      what: 'durability lag, p99',
      unit: 'ms',
      values: lag('p99'),
      due: { atMost: LAG_P99_MS_MAX },
      note: `the wait of the oldest entry that is not in Postgres, read in the stores every ${LAG_EVERY_MS} ms`,
    },
    { section, what: 'durability lag, max', unit: 'ms', values: lag('max') },
    {
      section,
      what: 'resident memory of the second half',
      unit: 'of the first',
      values: taken.map(({ memoryRatios }) => memoryRatios.total ?? 0),
      due: { atMost: MEMORY_RATIO_MAX },
      note: `${formatParts(Object.fromEntries(names.map((name) => [name, ofMemory(name)])))}; in MiB, last run's second half: ${formatParts(taken.at(-1)?.memoryMiB ?? {})}`,
    },
  ];
}

async function measureOnce({ sizes, tell }: Bench, setting: SpaceSetting, load: Load): Promise<Measured> {
  const { worker, watch, processes } = setting;
  const { updatesPerSecond, seconds, warmUpSeconds } = sizes.both;
  const phase = {
    connections: sizes.connections,
    requests: null,
    requestsPerSecond: updatesPerSecond / sizes.opsPerRequest,
  };
  await load.run({ ...phase, seconds: warmUpSeconds });
  const lag = watch.sampleLag(LAG_EVERY_MS);
  const memory = sampleMemory(
    processes,
    Math.min(MEMORY_EVERY_MS_MAX, (seconds * 1_000) / MEMORY_SAMPLES_MIN),
  );
  const { result, seconds: cpu } = await measureCpu({ ...processes, load: load.pid }, () =>
    profileWorker(worker, tell, () => load.run({ ...phase, seconds })),
  );
  const lags = await lag.stop();
  const samples = await memory.stop();
  await watch.waitUntilDrained();
  const totals = samples.map((sample) => ({ ...sample, total: sum(Object.values(sample)) }));
  const half = totals.length >> 1;
  const meanOf = (part: typeof totals) =>
    Object.fromEntries(
      Object.keys(totals[0] ?? {}).map((name) => [
        name,
        mean(part.map((sample) => (sample as Record<string, number>)[name] ?? 0)),
      ]),
    );
  const [first, second] = [meanOf(totals.slice(0, half)), meanOf(totals.slice(half))];
  return {
    updatesPerSecond: result.accepted / Math.max(seconds, result.seconds),
    updates: result.accepted,
    requestP99Ms: result.latencyMs.p99,
    seconds: cpu,
    statuses: describeAnswers(result),
    lagMs: { p50: percentile(lags, 50), p99: percentile(lags, 99), max: percentile(lags, 100) },
    memoryRatios: Object.fromEntries(
      Object.entries(second).map(([name, value]) => [name, value / (first[name] ?? Number.NaN)]),
    ),
    memoryMiB: second,
  };
}

/** `30,000 × 202, 2 × 429, 12 not sent` */
function describeAnswers({ statuses, unsent }: LoadResult): string {
  const answered = Object.entries(statuses).map(([status, count]) => `${format(count)} × ${status}`);
  return [...answered, ...(unsent === 0 ? [] : [`${format(unsent)} not sent in time`])].join(', ');
}
