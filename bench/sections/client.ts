import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type Bench, repeat } from '../harness/bench.ts';
import { createReceiver } from '../harness/child.ts';
import type { ClientAnswer, ClientTask } from '../harness/client-process.ts';
import { type Figure, format } from '../harness/report.ts';
import { type SpaceSetting, withSpace, withWorker } from '../harness/setting.ts';
import { percentile } from '../harness/statistics.ts';

const BARE = 'without the SDK';
/** The SDK's own default, in milliseconds. */
const BATCH_MS = 100;

type Task = ClientTask extends infer Each
  ? Each extends ClientTask
    ? Omit<Each, 'url' | 'space' | 'token'>
    : never
  : never;

/** Measures the SDK: how soon another client sees a change, its memory, and its return after an outage. */
export async function measureClient(bench: Bench): Promise<Figure[]> {
  const { changes, perSecond, objects, offline } = bench.sizes.client;
  const near = await withWorker(bench, {}, (setting) =>
    withSpace(setting, bench.sizes.hotObjects, async (inSpace) => ({
      immediate: await repeat(bench, 'one change to another client', () =>
        measureMs(inSpace, { task: 'delivery', batchMs: 0, changes, perSecond }),
      ),
      batched: await repeat(bench, 'the same in batches', () =>
        measureMs(inSpace, { task: 'delivery', batchMs: BATCH_MS, changes, perSecond }),
      ),
      bare: await repeat(bench, 'the same without the SDK', () =>
        measureMs(inSpace, { task: 'bare delivery', changes, perSecond }),
      ),
      offline: await repeat(bench, 'a return after an outage', async () => {
        const answer = await ask(inSpace, {
          task: 'offline',
          changes: offline.changes,
          offlineMs: offline.seconds * 1_000,
        });
        return answer as { ms: number; requests: number; lost: number };
      }),
    })),
  );
  const memory = await withWorker(bench, {}, (setting) =>
    withSpace(setting, objects, async (inSpace) => ({
      mirror: await repeat(bench, 'memory of a mirror', () => measureBytes(inSpace, { task: 'memory' })),
      bare: await repeat(bench, 'memory of the state', () => measureBytes(inSpace, { task: 'bare memory' })),
    })),
  );
  const section = 'the SDK';
  const ranks = [
    ['p50', 50],
    ['p99', 99],
  ] as const;
  const deliveries = ranks.flatMap(([rank, percent]): Figure[] => {
    const measure = `ms from a change to another client, ${rank}` as const;
    const read = (runs: number[][]) => runs.map((ms) => percentile(ms, percent));
    return [
      {
        section,
        unit: 'ms',
        measure,
        what: `change to another client, ${rank}`,
        values: read(near.immediate),
      },
      {
        section,
        unit: 'ms',
        measure,
        what: `in batches of ${BATCH_MS} ms, ${rank}`,
        values: read(near.batched),
      },
      { section, unit: 'ms', measure, what: `${BARE}, ${rank}`, values: read(near.bare), baseline: BARE },
    ];
  });
  const kept = (runs: number[]) => runs.map((bytes) => bytes / objects);
  const away = `${format(offline.changes)} changes of ${format(offline.seconds)} s offline`;
  return [
    ...deliveries,
    {
      section,
      unit: 'bytes',
      measure: 'bytes an object',
      what: `memory for each of ${format(objects)} objects`,
      values: kept(memory.mirror),
    },
    {
      section,
      unit: 'bytes',
      measure: 'bytes an object',
      what: `memory for each, the parsed state ${BARE}`,
      values: kept(memory.bare),
      baseline: 'the parsed state',
    },
    {
      section,
      unit: 'ms',
      what: `${away}: until all are sent and the world is live`,
      values: near.offline.map(({ ms }) => ms),
    },
    { section, unit: '', what: `${away}: requests`, values: near.offline.map(({ requests }) => requests) },
    {
      section,
      unit: '',
      what: `${away}: lost`,
      values: near.offline.map(({ lost }) => lost),
      due: { atMost: 0 },
      isPromise: true,
    },
  ];
}

async function measureMs(setting: SpaceSetting, task: Task): Promise<number[]> {
  const { ms } = (await ask(setting, task)) as { ms: number[] };
  if (ms.length === 0) throw new Error('no change reached the other client');
  return ms;
}

async function measureBytes(setting: SpaceSetting, task: Task): Promise<number> {
  const { bytes, objects } = (await ask(setting, task)) as { bytes: number; objects: number };
  if (objects !== setting.objects) throw new Error(`the client has ${objects} objects`);
  return bytes;
}

/** Starts a process for one task. */
async function ask({ worker, space }: SpaceSetting, task: Task): Promise<ClientAnswer> {
  const whole = {
    ...task,
    url: worker.url,
    space: space.address.spaceId,
    token: space.headers.Authorization.replace('Bearer ', ''),
  };
  const child = fork(join(import.meta.dirname, '../harness/client-process.ts'), {
    execArgv: ['--expose-gc'],
    env: { ...process.env, BENCH_CLIENT: JSON.stringify(whole) },
  });
  const exited = once(child, 'exit');
  const answer = await createReceiver<ClientAnswer>(child, exited, 'the client')();
  await exited;
  return answer;
}
