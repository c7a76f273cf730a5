import { setTimeout as delay } from 'node:timers/promises';
import { tenantMarksKey } from '../../src/redis/keys.ts';
import { DURABLE_OBJECT, startDurableWorld } from '../baselines/durable-object-world.ts';
import { type Asker, askAll, openAsker } from '../harness/asks.ts';
import { type Bench, repeat } from '../harness/bench.ts';
import { type CpuTaken, measureCpu } from '../harness/processes.ts';
import { profileWorker } from '../harness/profile.ts';
import { type Figure, format, formatParts } from '../harness/report.ts';
import { type SpaceSetting, withSpace, withWorker } from '../harness/setting.ts';
import type { SpaceWatch } from '../harness/space.ts';
import { mean, percentile } from '../harness/statistics.ts';

const DUE_MS = [40, 150] as const;
const IN_PROCESS = 'pg in this process';
const KEPT_MS_MAX = 10_000;
const POLL_MS = 5;

interface Measured {
  p50: number;
  p99: number;
  /** The first answer of a new Worker. */
  fresh: number;
  /** One SELECT in the benchmark's own process, which also makes the JSON. */
  inProcess: number;
  cpuMs: Record<string, number>;
}

/** Reads of a state that neither Redis nor the Worker keeps: the Worker loads it from Postgres. */
export async function measureCold(bench: Bench): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [i, objects] of bench.sizes.cold.objects.entries()) {
    const own = await measureOwn(bench, objects);
    const baseline = await measureDurableObject(bench, objects);
    const section = `cold state of ${format(objects)} objects`;
    const shared = { section, unit: 'ms', measure: `ms for a cold state of ${objects} objects` } as const;
    const due = DUE_MS[i];
    const cpu = Object.keys(own[0]?.cpuMs ?? {}).map((name) => [
      name,
      mean(own.map(({ cpuMs }) => cpuMs[name] ?? 0)),
    ]);
    figures.push(
      {
        ...shared,
        what: 'p50',
        values: own.map(({ p50 }) => p50),
        ...(due !== undefined && { due: { atMost: due } }),
        note: `one reader. CPU in ms per load, including the writes to the caches afterwards: ${formatParts(Object.fromEntries(cpu))}`,
      },
      { section, what: 'p99', unit: 'ms', values: own.map(({ p99 }) => p99) },
      {
        section,
        what: 'the first answer of a Worker just started',
        unit: 'ms',
        values: own.map(({ fresh }) => fresh),
        note: 'the Worker also compiles its code and looks up the key for this answer',
      },
      {
        ...shared,
        what: `${DURABLE_OBJECT} reading its rows, p50`,
        baseline: DURABLE_OBJECT,
        values: baseline,
        note: 'the object has just written the rows, so SQLite reads them from memory',
      },
      {
        ...shared,
        what: 'one SELECT with pg, made into JSON in the same process',
        baseline: IN_PROCESS,
        values: own.map(({ inProcess }) => inProcess),
        note: 'over TCP; the rows are not sent on',
      },
    );
  }
  return figures;
}

function measureOwn(bench: Bench, objects: number): Promise<Measured[]> {
  return withWorker(bench, {}, (setting) =>
    withSpace(setting, objects, (inSpace) =>
      repeat(bench, `cold state of ${format(objects)} objects`, async () => {
        const fresh = await measureFresh(bench, inSpace);
        const { worker, space, processes } = inSpace;
        const asker = await openAsker({ url: worker.url, headers: space.headers });
        try {
          await readCold(inSpace, asker);
          const { result, seconds } = await measureCpu(processes, () =>
            profileWorker(worker, bench.tell, async () => {
              const taken: number[] = [];
              for (let n = 0; n < bench.sizes.cold.loads; n++) taken.push(await readCold(inSpace, asker));
              return taken;
            }),
          );
          return {
            p50: percentile(result, 50),
            p99: percentile(result, 99),
            fresh,
            inProcess: await measureInProcess(inSpace),
            cpuMs: perLoad(seconds, result.length),
          };
        } finally {
          await asker.close();
        }
      }),
    ),
  );
}

function perLoad({ total: _, ...seconds }: CpuTaken, loads: number): Record<string, number> {
  return Object.fromEntries(Object.entries(seconds).map(([name, value]) => [name, (value / loads) * 1e3]));
}

/** Clears the caches, reads, and waits until the caches are full again, so that this work does not slow the next read. */
async function readCold({ watch, space }: SpaceSetting, asker: Asker): Promise<number> {
  await dropKept(watch, space.address);
  const ask = { method: 'GET', path: `${space.path}/state` };
  const [answer] = await askAll(asker, { asks: [ask], connections: 1, requestsPerSecond: null });
  for (const startedAt = performance.now(); ; await delay(POLL_MS)) {
    if ((await listSnapshots(watch, space.address)).length > 0) return answer?.ms ?? Number.NaN;
    if (performance.now() - startedAt > KEPT_MS_MAX) throw new Error('the loaded state is not kept');
  }
}

/** Starts a new epoch, so that Workers cannot use the views that they hold. */
async function dropKept({ redis }: SpaceWatch, address: SpaceSetting['space']['address']): Promise<void> {
  await redis.hincrby(tenantMarksKey(address.tenantId), 'epoch', 1);
  const pattern = `wk:{${address.tenantId}!${address.spaceId}}:*`;
  const keys = await redis.keys(pattern);
  const kept = keys.filter((key) => /:(?:snap|around)$/.test(key));
  if (kept.length > 0) await redis.del(...kept);
}

function listSnapshots({ redis }: SpaceWatch, { tenantId, spaceId }: SpaceSetting['space']['address']) {
  return redis.keys(`wk:{${tenantId}!${spaceId}}:*:snap`);
}

async function measureFresh({ startServer }: Bench, inSpace: SpaceSetting): Promise<number> {
  const worker = await startServer(inSpace.stack.values);
  const asker = await openAsker({ url: worker.url, headers: inSpace.space.headers });
  try {
    return await readCold(inSpace, asker);
  } finally {
    await asker.close();
    await worker.stop();
  }
}

async function measureInProcess({ watch, space, objects }: SpaceSetting): Promise<number> {
  const startedAt = performance.now();
  const { rows } = await watch.postgres.query(
    'select o.* from world_objects o join spaces s using (world) where s.tenant_id = $1 and s.space_id = $2 order by object_id',
    [space.address.tenantId, space.address.spaceId],
  );
  const text = JSON.stringify({ objects: rows });
  const ms = performance.now() - startedAt;
  if (rows.length !== objects || text.length === 0) throw new Error(`${rows.length} rows were read`);
  return ms;
}

function measureDurableObject(bench: Bench, objects: number): Promise<number[]> {
  return repeat(bench, `state of ${format(objects)} objects of ${DURABLE_OBJECT}`, async () => {
    const worker = await startDurableWorld(objects);
    const asker = await openAsker({ url: worker.url, headers: {} });
    try {
      const ask = { method: 'GET', path: '/state' };
      const asks = Array.from({ length: bench.sizes.cold.loads + 1 }, () => ask);
      const [, ...answers] = await askAll(asker, { asks, connections: 1, requestsPerSecond: null });
      return percentile(
        answers.map(({ ms }) => ms),
        50,
      );
    } finally {
      await asker.close();
      await worker.stop();
    }
  });
}
