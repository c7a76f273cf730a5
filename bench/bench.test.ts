import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stack } from '../test/support.ts';
import type { Bench, Sizes } from './harness/bench.ts';
import { makeBodies, nameObject, turnBack } from './harness/operations.ts';
import { buildRows, type Figure, formatRows } from './harness/report.ts';
import { describeStack } from './harness/stack.ts';
import { median, percentile } from './harness/statistics.ts';
import { buildWorker } from './harness/worker.ts';
import { SECTIONS } from './sections.ts';

/** Enough to go every way once. No speed is asserted: that is what `npm run bench` is for. */
const TINY: Sizes = {
  runs: 1,
  opsPerRequest: 10,
  connections: 2,
  hotObjects: 20,
  coldObjects: 40,
  append: { warmUpSeconds: 0.1, seconds: 0.2 },
  drain: { hotUpdates: 300, coldUpdates: 300 },
  both: { warmUpSeconds: 0.1, seconds: 0.5, updatesPerSecond: 200 },
  wait: { warmUpRequests: 1, requests: 3 },
  idleCpu: { seconds: 0.5, updatesPerSecond: 200 },
  bytes: { updates: 50, updatesPerSecond: 500, objects: [20] },
  crash: { kills: 2, baselineKills: 1 },
  state: {
    ...{ warmUpSeconds: 0.1, seconds: 0.3, updatesPerSecond: 200 },
    small: { objects: 20, readsPerSecond: 20 },
    large: { objects: 40, readsPerSecond: 20 },
  },
  hitRate: { spaces: 3, objects: 10, seconds: 0.3, readsPerSecond: 20, writesPerSecond: 10, herd: 5 },
  delivery: {
    ...{ warmUpSeconds: 0.1, seconds: 0.3 },
    one: { subscribers: 1, requestsPerSecond: 20, opsPerRequest: 1 },
    many: { subscribers: 3, requestsPerSecond: 10, opsPerRequest: 10 },
  },
  cold: { objects: [20], loads: 2 },
  routes: { requests: 2 },
  commands: { seconds: 0.5, updatesPerSecond: 200, readsPerSecond: 10 },
  baseline: { drizzleUpdates: 20, missionUpdates: 200, seconds: 0.2, hundreds: 10 },
};

describe('the benchmark', () => {
  let built: Awaited<ReturnType<typeof buildWorker>>;
  let bench: Bench;

  beforeAll(async () => {
    built = await buildWorker();
    bench = {
      ...{ sizes: TINY, workerPath: built.path, profile: false, tell: () => undefined },
      // The stores that all tests share; nothing of them is stopped here.
      openStack: async () => ({
        ...(await describeStack(stack(), process.pid)),
        stop: () => Promise.resolve(),
      }),
    };
  });

  afterAll(() => built.remove());

  const figures: Figure[] = [];

  it.each(SECTIONS.map(({ name, measure }) => [name, measure] as const))(
    'measures %s',
    async (_, measure) => {
      const measured = await measure(bench);
      expect(measured.length).toBeGreaterThan(0);
      for (const { values, what } of measured) {
        expect(values, what).not.toHaveLength(0);
        for (const value of values) expect(value, what).toSatisfy(Number.isFinite);
      }
      figures.push(...measured);
    },
  );

  it('finds nothing lost that was acknowledged, one command for each request, and one load for all readers', () => {
    const find = (section: string, what: string) =>
      figures.find((figure) => figure.section.startsWith(section) && figure.what === what)?.values;
    expect(find('crash', 'acknowledged updates lost')).toEqual([0]);
    expect(find('crash', 'objects that are as no request put them')).toEqual([0]);
    expect(find('append', 'all commands in Redis')).toEqual([1]);
    expect(find('hit-rate', 'loads from Postgres for 5 readers of a space of which nothing is kept')).toEqual(
      [1],
    );
  });

  it('says of each figure what it is to the baselines', () => {
    const rows = buildRows(figures);
    const accepted = rows.find(({ section, measure }) => section === 'append' && measure === 'updates/s');
    expect(Object.keys(accepted?.ratios ?? {})).toEqual([
      'one Drizzle UPDATE an object',
      'a queue in memory',
      'a queue in memory, one statement a batch',
      'a Durable Object',
    ]);
    expect(formatRows(rows)).toContain('× a Durable Object');
  });
});

describe('the load', () => {
  it('moves each object in small steps, forwards and backwards', () => {
    const bodies = makeBodies({ objects: 20, opsPerRequest: 10, bodies: 40, seed: 1 });
    const places = new Map<string, { x: number; z: number }>();
    for (let n = 0; n < 200; n++) {
      const { ops } = JSON.parse(bodies[turnBack(n, bodies.length)]?.toString() ?? '') as {
        ops: {
          op: string;
          id: string;
          position: { x: number; z: number };
          rotation: { y: number; w: number };
        }[];
      };
      expect(ops).toHaveLength(10);
      for (const { op, id, position, rotation } of ops) {
        expect(op).toBe('patch');
        // Within what is kept as sent.
        expect(Math.abs(Math.hypot(rotation.y, rotation.w) - 1)).toBeLessThan(1e-4);
        const before = places.get(id);
        places.set(id, position);
        if (before === undefined) continue;
        expect(Math.hypot(position.x - before.x, position.z - before.z)).toBeLessThan(0.302);
      }
    }
    expect([...places.keys()].sort()).toEqual(Array.from({ length: 20 }, (_, i) => nameObject(i)));
  });
});

describe('statistics', () => {
  it('finds the middle and the rank', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(percentile([5, 1, 4, 2, 3], 50)).toBe(3);
    expect(percentile([1, 2], 99)).toBe(2);
    expect(median([])).toBeNaN();
  });

  it('says whether the median is as it is due', () => {
    const figure = { section: 's', what: 'w', unit: 'u', values: [1, 3, 2] };
    const [most, least, none] = buildRows([
      { ...figure, due: { atMost: 2 } },
      { ...figure, due: { atLeast: 2.5 } },
      figure,
    ]);
    expect([most?.isMet, least?.isMet, none?.isMet]).toEqual([true, false, null]);
    expect([most?.median, most?.min, most?.max]).toEqual([2, 1, 3]);
  });
});
