import { setTimeout as delay } from 'node:timers/promises';
import { type Bench, repeat } from '../harness/bench.ts';
import { callDrain } from '../harness/drain-call.ts';
import { holdDrains } from '../harness/hold-drains.ts';
import { type Load, requireAll } from '../harness/load.ts';
import type { MoveForm } from '../harness/operations.ts';
import { type CpuTaken, measureCpu } from '../harness/processes.ts';
import { profileWorker } from '../harness/profile.ts';
import { describeCpu, type Figure, format } from '../harness/report.ts';
import { type SpaceSetting, withLoad, withSpace, withWorker } from '../harness/setting.ts';
import { mean } from '../harness/statistics.ts';
import { ANY_BACKLOG } from '../harness/worker.ts';

const POLL_MS = 5;
const DRAIN_MS_MAX = 300_000;

interface Kind {
  name: 'drain-hot' | 'drain-cold';
  what: string;
  form?: MoveForm;
  isFast?: boolean;
}

interface Drained {
  /** Between the first commit and the last. */
  updatesPerSecond: number;
  /** All updates, from the call to the last commit. */
  wholePerSecond: number;
  updates: number;
  seconds: CpuTaken;
}

/** The Worker that QStash calls drains a full log: moves of the same thousand objects, many times. */
export async function measureDrainHot(bench: Bench): Promise<Figure[]> {
  const name = 'drain-hot';
  const slow = await measureDrain(bench, { name, what: 'patches' });
  const moves = await measureDrain(bench, { name, what: 'moves', form: 'move' });
  const fast = await measureDrain(bench, { name, what: 'moves of over 32 m', form: 'move', isFast: true });
  return [
    slow,
    moves,
    fast,
    {
      section: 'drain',
      what: 'time for moves of over 32 m',
      unit: 'times that of small steps',
      values: fast.values.map((rate, i) => (moves.values[i] ?? Number.NaN) / rate),
      due: { atMost: 1.5 },
    },
  ];
}

/** The same with many more objects than a batch has updates, so that every update of a batch is another row. */
export async function measureDrainCold(bench: Bench): Promise<Figure[]> {
  return [await measureDrain(bench, { name: 'drain-cold', what: 'patches' })];
}

async function measureDrain(bench: Bench, { name, what, ...moves }: Kind): Promise<Figure> {
  const { sizes } = bench;
  const objects = name === 'drain-hot' ? sizes.hotObjects : sizes.coldObjects;
  const updates = name === 'drain-hot' ? sizes.drain.hotUpdates : sizes.drain.coldUpdates;
  const drained = await withWorker(bench, ANY_BACKLOG, (setting) =>
    withSpace(setting, objects, (inSpace) =>
      repeat(bench, `${name}, ${what}`, async (seed) => {
        const options = { opsPerRequest: sizes.opsPerRequest, seed, ...moves };
        const seqs = await withLoad(inSpace, options, (load) => fill(bench, inSpace, load, updates));
        return profileWorker(setting.worker, bench.tell, () => drain(inSpace, seqs, sizes.opsPerRequest));
      }),
    ),
  );
  const whole = format(mean(drained.map(({ wholePerSecond }) => wholePerSecond)));
  return {
    section: 'drain',
    unit: 'updates/s',
    measure: moves.form === 'move' ? 'updates/s, moves' : 'updates/s',
    what: `${what} over ${format(objects)} objects, from the first commit to the last`,
    values: drained.map(({ updatesPerSecond }) => updatesPerSecond),
    note: `${format(updates)} updates in the log; from the call to the last commit ${whole} updates/s. ${describeCpu(drained)}`,
  };
}

/** Appends while nothing drains. @returns the seqs, in order */
async function fill(
  { sizes }: Bench,
  { stack, space, watch }: SpaceSetting,
  load: Load,
  updates: number,
): Promise<number[]> {
  const phase = { connections: sizes.connections, seconds: null, requests: 1, requestsPerSecond: null };
  // Redis must know the log before drains can be held.
  requireAll(await load.run(phase), 202);
  await watch.waitUntilDrained();
  const held = await holdDrains(stack.values, space.address);
  try {
    const filled = await load.run({ ...phase, requests: Math.ceil(updates / sizes.opsPerRequest) });
    requireAll(filled, 202);
    return filled.seqs.toSorted((a, b) => a - b);
  } finally {
    await held.release();
  }
}

async function drain(
  { stack, worker, processes, space, watch }: SpaceSetting,
  seqs: readonly number[],
  opsPerRequest: number,
): Promise<Drained> {
  const lastSeq = seqs.at(-1) ?? 0;
  const before = await watch.read();
  const startedAt = performance.now();
  let first: { at: number; cursor: number } | null = null;
  const { result: lastAt, seconds } = await measureCpu(processes, async () => {
    await callDrain(stack.values, worker.url, space.address);
    for (;;) {
      const cursor = await watch.readCursor();
      const at = performance.now();
      if (first === null && cursor > before.cursor) first = { at, cursor };
      if (cursor >= lastSeq) return at;
      if (at - startedAt > DRAIN_MS_MAX) throw new Error(`the drain has reached ${cursor}, not ${lastSeq}`);
      await delay(POLL_MS);
    }
  });
  await watch.waitUntilDrained();
  const begin = first as { at: number; cursor: number } | null;
  if (begin === null) throw new Error('no commit was seen');
  const behind = seqs.filter((seq) => seq > begin.cursor).length;
  const updates = seqs.length * opsPerRequest;
  // If one commit took all, there is no second commit to measure to.
  const whole = updates / ((lastAt - startedAt) / 1_000);
  return {
    updatesPerSecond: behind === 0 ? whole : (behind * opsPerRequest) / ((lastAt - begin.at) / 1_000),
    wholePerSecond: whole,
    updates,
    seconds,
  };
}
