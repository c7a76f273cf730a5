import { expect, it } from 'vitest';
import { ManualClock } from '../../test/manual-clock.ts';
import { AppError } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { Metrics } from './metrics.ts';
import type { Counts } from './metrics-stores.ts';

/** One process and what reaches the store. `fault`: the store adds the counts or not, and no reply arrives. */
function openProcess(seriesMax?: number) {
  const clock = new ManualClock();
  const sent: { atMs: number; token: string; counts: Record<string, number> }[] = [];
  const failures: unknown[] = [];
  const work: Promise<unknown>[] = [];
  const startMs = clock.now();
  const state = { isAway: false };
  let tokens = 0;
  const metrics = new Metrics(
    {
      async add(token: string, counts: Counts) {
        sent.push({ atMs: clock.now() - startMs, token, counts: Object.fromEntries(counts) });
        if (state.isAway) throw new AppError('store_unavailable', 'It is away.');
      },
      read: async () => new Map(),
    },
    {
      now: () => clock.now(),
      after: (ms, run) => clock.after(ms, run),
      defer: (promise) => void work.push(promise),
      createToken: () => `t${++tokens}`,
      onFailure: (cause) => void failures.push(cause),
      seriesMax,
    },
  );
  const open = (n = 1) => metrics.add('worldkeep_streams_opened_total', {}, n);
  return { clock, metrics, open, sent, failures, state };
}

const OPENED = 'worldkeep_streams_opened_total';

it('[G2] counts of ten seconds are one command, and nothing is sent without a count', async () => {
  const { clock, metrics, open, sent } = openProcess();
  await clock.pass(60_000);
  expect(sent).toEqual([]);
  for (let i = 0; i < 10; i++) {
    open();
    metrics.observe('worldkeep_drain_batch_seconds', {}, 0.02);
    await clock.pass(900);
  }
  await clock.pass(1_000);
  open(5);
  await clock.pass(30_000);
  expect(sent).toEqual([
    {
      atMs: 70_000,
      token: 't1',
      counts: {
        [OPENED]: 10,
        'worldkeep_drain_batch_seconds|0.025': 10,
        'worldkeep_drain_batch_seconds|sum': 200_000,
      },
    },
    { atMs: 80_000, token: 't2', counts: { [OPENED]: 5 } },
  ]);
});

it('[G2a] counts whose reply is lost are sent again with the same token, apart from newer counts', async () => {
  const { clock, open, sent, failures, state } = openProcess();
  state.isAway = true;
  open(3);
  await clock.pass(10_000);
  expect(failures).toHaveLength(1);
  open(4);
  await clock.pass(10_000);
  state.isAway = false;
  open(1);
  await clock.pass(10_000);
  expect(sent.map(({ token, counts }) => [token, counts[OPENED]])).toEqual([
    ['t1', 3],
    ['t1', 3],
    ['t1', 3],
    ['t2', 5],
  ]);
});

it('[G2a] counts are dropped if the store may have forgotten their token', async () => {
  const { clock, open, sent, state } = openProcess();
  state.isAway = true;
  open(3);
  await clock.pass(10_000);
  state.isAway = false;
  await clock.pass(LIMITS.metricsTokenSeconds * 1_000);
  open(1);
  await clock.pass(10_000);
  expect(sent.map(({ token, counts }) => [token, counts[OPENED]])).toEqual([
    ['t1', 3],
    ['t2', 1],
  ]);
});

it('[G2a] tries do not begin the time of a token again', async () => {
  const { clock, open, sent, state } = openProcess();
  state.isAway = true;
  open(3);
  for (let i = 0; i <= LIMITS.metricsTokenSeconds / 10; i++) {
    await clock.pass(10_000);
    open(1);
  }
  state.isAway = false;
  await clock.pass(10_000);
  expect(sent.at(-1)?.token).not.toBe('t1');
});

it('[G2b] counts of a process that ends are sent first', async () => {
  const { clock, metrics, open, sent } = openProcess();
  open(2);
  await metrics.end();
  expect(sent.map(({ atMs, counts }) => [atMs, counts[OPENED]])).toEqual([[0, 2]]);
  expect(clock.size).toBe(0);
});

it('a flush that never ends, because a Worker was stopped, does not stop later ones', async () => {
  const clock = new ManualClock();
  let flushes = 0;
  const metrics = new Metrics(
    { add: async () => void flushes++, read: async () => new Map() },
    {
      now: () => clock.now(),
      // The first timer never fires.
      after: (ms, run) => (clock.now() === 1_000_000 ? () => undefined : clock.after(ms, run)),
      defer: () => undefined,
      createToken: () => 'token',
      onFailure: () => undefined,
    },
  );
  metrics.add(OPENED, {});
  await clock.pass(45_000);
  metrics.add(OPENED, {});
  await clock.pass(10_000);
  expect(flushes).toBe(1);
});

it('[G3a] a process counts at most its number of series, and says how many counts it dropped', async () => {
  const { clock, metrics, sent } = openProcess(2);
  for (const kind of ['a', 'b', 'c', 'd', 'a']) metrics.add('worldkeep_drain_failures_total', { kind });
  await clock.pass(10_000);
  expect(sent[0]?.counts).toEqual({
    'worldkeep_drain_failures_total|a': 2,
    'worldkeep_drain_failures_total|b': 1,
    worldkeep_counts_dropped_total: 2,
  });
  expect(LIMITS.metricsSeriesMax).toBe(5_000);
});
