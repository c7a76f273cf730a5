import { setTimeout as delay } from 'node:timers/promises';
import { cacheStatsKey } from '../../src/redis/keys.ts';
import { type Ask, type Asker, askAll, openAsker } from '../harness/asks.ts';
import { type Bench, repeat } from '../harness/bench.ts';
import { createRandom, makeBodies } from '../harness/operations.ts';
import { type Figure, format } from '../harness/report.ts';
import { type SpaceSetting, withSpace, withWorker } from '../harness/setting.ts';
import { type StatementCounter, startStatementCounter } from '../harness/statement-counter.ts';
import { mean, percentile } from '../harness/statistics.ts';

const HIT_RATE_MIN = 0.99;
const LOADS_PER_REBUILD = 1;
/** A process sends its counts once a second, with a read. */
const COUNTED_MS = 1_100;
/** So many connections make the other spaces. */
const MAKING_CONNECTIONS = 4;
const JSON_TYPE = { 'Content-Type': 'application/json' };

interface Measured {
  hitRate: number;
  loadsPerRebuild: number;
  worldLoads: number;
  p50: number;
  p99: number;
}

/** Reads many spaces while all of them change; the first far more often than the last. */
export async function measureHitRate(bench: Bench): Promise<Figure[]> {
  const { spaces, readsPerSecond, writesPerSecond, seconds, herd } = bench.sizes.hitRate;
  const stack = await bench.openStack();
  const counter = await startStatementCounter(stack.values.databaseHttpUrl);
  const counting: Bench = {
    ...bench,
    openStack: () => Promise.resolve({ ...stack, stop: () => Promise.resolve() }),
  };
  let taken: Measured[];
  try {
    taken = await withWorker(counting, { DATABASE_HTTP_URL: counter.url }, (setting) =>
      withSpace(setting, bench.sizes.hitRate.objects, async (inSpace) => {
        const paths = await makeSpaces(bench, inSpace);
        return repeat(bench, 'hit-rate', (seed) => measureOnce(bench, inSpace, counter, paths, seed));
      }),
    );
  } finally {
    await counter.close();
    await stack.stop();
  }
  const section = `hit-rate, ${format(spaces)} spaces`;
  const p = (rank: 'p50' | 'p99') => format(mean(taken.map((run) => run[rank])));
  return [
    {
      section,
      what: 'reads answered from a cache',
      unit: 'of all',
      values: taken.map(({ hitRate }) => hitRate),
      due: { atLeast: HIT_RATE_MIN },
      note: `${format(readsPerSecond)} reads/s for ${seconds} s, the n-th space 1/n as often as the first, ${format(writesPerSecond)} requests/s of 10 updates over all; p50 ${p('p50')} ms, p99 ${p('p99')} ms`,
    },
    {
      section,
      what: 'worlds loaded from Postgres meanwhile',
      unit: 'loads',
      values: taken.map(({ worldLoads }) => worldLoads),
    },
    {
      section,
      what: `loads from Postgres for ${herd} readers of a space of which nothing is kept`,
      unit: 'loads',
      values: taken.map(({ loadsPerRebuild }) => loadsPerRebuild),
      due: { atMost: LOADS_PER_REBUILD },
    },
  ];
}

async function makeSpaces({ sizes }: Bench, { worker, space }: SpaceSetting): Promise<string[]> {
  const { spaces, objects } = sizes.hitRate;
  const paths = Array.from({ length: spaces }, (_, i) => `/v1/spaces/zipf-${i}`);
  const state = await (await fetch(`${worker.url}${space.path}/state`, { headers: space.headers })).json();
  const { objects: list } = state as { objects: object[] };
  if (list.length !== objects) throw new Error(`${list.length} objects are there`);
  const body = JSON.stringify({ objects: list });
  const asker = await openAsker({ url: worker.url, headers: space.headers });
  try {
    const phase = { connections: MAKING_CONNECTIONS, requestsPerSecond: null };
    const put = (path: string, text: string): Ask => ({
      method: 'PUT',
      path,
      body: text,
      headers: JSON_TYPE,
    });
    await askAll(asker, { ...phase, asks: paths.map((path) => put(path, '{"name":"Zipf"}')) }, [201]);
    await askAll(asker, { ...phase, asks: paths.map((path) => put(`${path}/state`, body)) });
    return paths;
  } finally {
    await asker.close();
  }
}

async function measureOnce(
  { sizes }: Bench,
  { worker, space, watch }: SpaceSetting,
  counter: StatementCounter,
  paths: readonly string[],
  seed: number,
): Promise<Measured> {
  const { seconds, readsPerSecond, writesPerSecond, objects, herd } = sizes.hitRate;
  const { connections } = sizes;
  const target = { url: worker.url, headers: space.headers };
  const [reader, writer] = await Promise.all([openAsker(target), openAsker(target)]);
  const read = (path: string): Ask => ({ method: 'GET', path: `${path}/state` });
  const { tenantId } = space.address;
  const readCounts = async () => {
    await delay(COUNTED_MS);
    await askOnce(reader, read(paths[0] ?? ''));
    const [hits, misses] = await watch.redis.hmget(cacheStatsKey(tenantId), 'hits', 'misses');
    return { hits: Number(hits ?? 0), misses: Number(misses ?? 0) };
  };
  try {
    // Reads each space once before the measurement, which is about later reads.
    await askAll(reader, { asks: paths.map(read), connections, requestsPerSecond: null });
    const before = await readCounts();
    const { worldLoads: loadsBefore } = counter.read();
    const bodies = makeBodies({ objects, opsPerRequest: 10, bodies: 200, seed });
    const writes = Array.from({ length: Math.ceil(seconds * writesPerSecond) }, (_, i) => ({
      method: 'POST',
      path: `${paths[(i * 7) % paths.length]}/updates`,
      headers: JSON_TYPE,
      body: bodies[i % bodies.length]?.toString() ?? '',
    }));
    const reads = drawZipf(paths.length, Math.ceil(seconds * readsPerSecond), seed).map((i) =>
      read(paths[i] ?? ''),
    );
    const [answers] = await Promise.all([
      askAll(reader, { asks: reads, connections, requestsPerSecond: readsPerSecond }),
      askAll(writer, { asks: writes, connections, requestsPerSecond: writesPerSecond }, [202]),
    ]);
    const after = await readCounts();
    const worldLoads = counter.read().worldLoads - loadsBefore;
    const hits = after.hits - before.hits;
    const latencies = answers.map(({ ms }) => ms);
    return {
      hitRate: hits / (hits + after.misses - before.misses),
      worldLoads,
      p50: percentile(latencies, 50),
      p99: percentile(latencies, 99),
      loadsPerRebuild: await countHerd(),
    };
  } finally {
    await Promise.all([reader.close(), writer.close()]);
  }

  async function countHerd(): Promise<number> {
    const name = `/v1/spaces/herd-${seed}`;
    const [body] = makeBodies({ objects, opsPerRequest: objects, bodies: 1, seed });
    const ops = JSON.parse(body?.toString() ?? '{}') as { ops: { id: string; position: object }[] };
    const list = ops.ops.map(({ id, position }) => ({ id, name: id, position }));
    await askOnce(reader, { method: 'PUT', path: name, body: '{"name":"Herd"}', headers: JSON_TYPE });
    await askOnce(reader, {
      method: 'PUT',
      path: `${name}/state`,
      body: JSON.stringify({ objects: list }),
      headers: JSON_TYPE,
    });
    const { worldLoads } = counter.read();
    const asks = Array.from({ length: herd }, () => read(name));
    await askAll(reader, { asks, connections: herd, requestsPerSecond: null });
    return counter.read().worldLoads - worldLoads;
  }
}

async function askOnce(asker: Asker, ask: Ask): Promise<void> {
  await askAll(asker, { asks: [ask], connections: 1, requestsPerSecond: null }, [200, 201]);
}

/** Numbers below `items`; the n-th comes 1/n as often as the first. */
function drawZipf(items: number, draws: number, seed: number): number[] {
  const random = createRandom(seed);
  const sums: number[] = [];
  for (let i = 0; i < items; i++) sums.push((sums[i - 1] ?? 0) + 1 / (i + 1));
  const total = sums.at(-1) ?? 1;
  return Array.from({ length: draws }, () => {
    const at = random() * total;
    return sums.findIndex((sum) => at < sum);
  });
}
