import { type Answer, askAll, openAsker } from '../harness/asks.ts';
import { type Bench, repeat } from '../harness/bench.ts';
import { requireStatus } from '../harness/load.ts';
import { type CpuTaken, measureCpu } from '../harness/processes.ts';
import { profileWorker } from '../harness/profile.ts';
import { type Figure, format, formatParts } from '../harness/report.ts';
import { type SpaceSetting, withLoad, withSpace, withWorker } from '../harness/setting.ts';
import { mean, percentile } from '../harness/statistics.ts';

const P50_MS_MAX = 10;
const P99_MS_MAX = 50;
const LARGE_P50_MS_MAX = 60;
const SAME_P50_MS_MAX = 5;

interface Measured {
  p50: number;
  p99: number;
  reads: number;
  bytes: number;
  seconds: CpuTaken;
  /** Updates that were accepted during the reads. */
  updatesPerSecond: number;
}

/** Reads whole states while updates arrive. Then a client that has the newest state asks for it again. */
export async function measureState(bench: Bench): Promise<Figure[]> {
  const { small, large, updatesPerSecond } = bench.sizes.state;
  const ofSmall = await measureUnderLoad(bench, small);
  const ofLarge = await measureUnderLoad(bench, large);
  const same = await measureSame(bench);
  const flowing = (of: { objects: number }) =>
    `state of ${format(of.objects)} objects while ${format(updatesPerSecond)} updates/s arrive`;
  const describe = (taken: readonly Measured[], { readsPerSecond }: { readsPerSecond: number }) =>
    `${format(readsPerSecond)} reads/s of ${format(mean(taken.map(({ bytes }) => bytes)) / 1_000)} kB, ${format(mean(taken.map((run) => run.updatesPerSecond)))} updates/s accepted. ${describeCpu(taken)}`;
  return [
    {
      section: flowing(small),
      what: 'p50',
      unit: 'ms',
      values: ofSmall.map(({ p50 }) => p50),
      due: { atMost: P50_MS_MAX },
      note: describe(ofSmall, small),
    },
    {
      section: flowing(small),
      what: 'p99',
      unit: 'ms',
      values: ofSmall.map(({ p99 }) => p99),
      due: { atMost: P99_MS_MAX },
    },
    {
      section: flowing(large),
      what: 'p50',
      unit: 'ms',
      values: ofLarge.map(({ p50 }) => p50),
      due: { atMost: LARGE_P50_MS_MAX },
      note: describe(ofLarge, large),
    },
    { section: flowing(large), what: 'p99', unit: 'ms', values: ofLarge.map(({ p99 }) => p99) },
    {
      section: 'state, 304 to a client with the newest state',
      what: 'p50',
      unit: 'ms',
      values: same.map(({ p50 }) => p50),
      due: { atMost: SAME_P50_MS_MAX },
      note: describe(same, small),
    },
    {
      section: 'state, 304 to a client with the newest state',
      what: 'p99',
      unit: 'ms',
      values: same.map(({ p99 }) => p99),
    },
  ];
}

function measureUnderLoad(
  bench: Bench,
  { objects, readsPerSecond }: { objects: number; readsPerSecond: number },
): Promise<Measured[]> {
  const { opsPerRequest, connections, state } = bench.sizes;
  return withWorker(bench, {}, (setting) =>
    withSpace(setting, objects, (inSpace) =>
      repeat(bench, `state of ${format(objects)} objects`, (seed) =>
        withLoad(inSpace, { opsPerRequest, seed }, async (load) => {
          const phase = {
            connections,
            requests: null,
            requestsPerSecond: state.updatesPerSecond / opsPerRequest,
          };
          const both = async (seconds: number) => {
            const [sent, read] = await Promise.all([
              load.run({ ...phase, seconds }),
              measureReads(bench, inSpace, { reads: Math.ceil(seconds * readsPerSecond), readsPerSecond }),
            ]);
            requireStatus(sent, 202);
            return { ...read, updatesPerSecond: sent.accepted / Math.max(seconds, sent.seconds) };
          };
          await both(state.warmUpSeconds);
          return both(state.seconds);
        }),
      ),
    ),
  );
}

function measureSame(bench: Bench): Promise<Measured[]> {
  const { small, seconds } = bench.sizes.state;
  const { readsPerSecond } = small;
  return withWorker(bench, {}, (setting) =>
    withSpace(setting, small.objects, (inSpace) =>
      repeat(bench, 'state, 304', async () => {
        await measureReads(bench, inSpace, { reads: Math.ceil(readsPerSecond), readsPerSecond });
        const { space, worker } = inSpace;
        const answer = await fetch(`${worker.url}${space.path}/state`, { headers: space.headers });
        await answer.body?.cancel();
        const etag = answer.headers.get('ETag') ?? '';
        return measureReads(bench, inSpace, {
          reads: Math.ceil(seconds * readsPerSecond),
          readsPerSecond,
          etag,
        });
      }),
    ),
  );
}

async function measureReads(
  { sizes, tell }: Bench,
  { worker, space, processes }: SpaceSetting,
  { reads, readsPerSecond, etag }: { reads: number; readsPerSecond: number; etag?: string },
): Promise<Measured> {
  const asker = await openAsker({ url: worker.url, headers: space.headers });
  try {
    const headers: Record<string, string> = etag === undefined ? {} : { 'If-None-Match': etag };
    const ask = { method: 'GET', path: `${space.path}/state`, headers };
    const asks = Array.from({ length: reads }, () => ask);
    const phase = { asks, connections: sizes.connections, requestsPerSecond: readsPerSecond };
    const { result, seconds } = await measureCpu({ ...processes, reader: asker.pid }, () =>
      profileWorker(worker, tell, () => askAll(asker, phase, [etag === undefined ? 200 : 304])),
    );
    return summarize(result, seconds);
  } finally {
    await asker.close();
  }
}

function summarize(answers: readonly Answer[], seconds: CpuTaken): Measured {
  const latencies = answers.map(({ ms }) => ms);
  return {
    p50: percentile(latencies, 50),
    p99: percentile(latencies, 99),
    reads: answers.length,
    seconds,
    bytes: mean(answers.map(({ bytes }) => bytes)),
    updatesPerSecond: 0,
  };
}

/** CPU of each process per read, including its other work in that time: the mean of several runs. */
function describeCpu(taken: readonly Measured[]): string {
  const names = Object.keys(taken[0]?.seconds ?? {}).filter((name) => name !== 'total');
  const parts = names.map((name) => [
    name,
    mean(taken.map(({ seconds, reads }) => ((seconds[name] ?? 0) / reads) * 1e3)),
  ]);
  return `CPU in ms per read, including all other work in that time: ${formatParts(Object.fromEntries(parts))}`;
}
