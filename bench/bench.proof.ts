import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Bench, Sizes } from './harness/bench.ts';
import { startNodeServer } from './harness/node-server.ts';
import { type BenchStack, startBenchStack } from './harness/stack.ts';
import { buildWorker, startWorker } from './harness/worker.ts';
import { SECTIONS } from './sections.ts';

/** Enough to measure every figure once. */
const TINY: Sizes = {
  runs: 1,
  opsPerRequest: 10,
  connections: 2,
  hotObjects: 20,
  coldObjects: 40,
  append: { warmUpSeconds: 0.1, seconds: 0.2 },
  drain: { hotUpdates: 300, coldUpdates: 300 },
  both: { warmUpSeconds: 0.1, seconds: 0.5, updatesPerSecond: 200 },
  through: { warmUpUpdates: 20, updates: 300 },
  wait: { warmUpRequests: 1, requests: 3 },
  idleCpu: { seconds: 0.5, updatesPerSecond: 200 },
  bytes: { updates: 50, updatesPerSecond: 500, objects: [20] },
  crash: { kills: 2, baselineKills: 1 },
  state: {
    warmUpSeconds: 0.1,
    seconds: 0.3,
    updatesPerSecond: 200,
    small: { objects: 20, readsPerSecond: 20 },
    large: { objects: 40, readsPerSecond: 20 },
  },
  hitRate: { spaces: 3, objects: 10, seconds: 0.3, readsPerSecond: 20, writesPerSecond: 10, herd: 5 },
  delivery: {
    warmUpSeconds: 0.1,
    seconds: 0.3,
    one: { subscribers: 1, requestsPerSecond: 20, opsPerRequest: 1 },
    many: { subscribers: 3, requestsPerSecond: 10, opsPerRequest: 10 },
  },
  reads: { rates: [10], seconds: 0.5 },
  cold: { objects: [20], loads: 2 },
  routes: { requests: 2 },
  files: { bytes: 2 ** 20 },
  library: { models: 20, references: 3, reads: 5 },
  client: { changes: 5, perSecond: 50, objects: 40, offline: { changes: 10, seconds: 0.2 } },
  commands: { seconds: 0.5, updatesPerSecond: 200, readsPerSecond: 10 },
  baseline: { drizzleUpdates: 20, missionUpdates: 200, seconds: 0.2, hundreds: 10 },
};

/** The figures of each section, by name. A figure is above 0 unless `EXACT` or `MAY_BE_0` has it. */
const MEASURED: Record<string, string[]> = {
  'drizzle-update': [
    'one Drizzle UPDATE an object, through the same client',
    'one Drizzle UPDATE an object: 100 updates of one client',
    'one Drizzle UPDATE an object: CPU at saturation',
  ],
  mission: [
    'a queue in memory, pg and ioredis',
    'a queue in memory: CPU at saturation',
    'a queue in memory: kept in Postgres',
    'a queue in memory, one statement a batch, pg and ioredis',
    'a queue in memory, one statement a batch: CPU at saturation',
    'a queue in memory: acknowledged updates lost at SIGKILL',
  ],
  'durable-object': [
    'a Durable Object with SQLite, patches, rows upserted per batch of 10',
    'a Durable Object: 100 updates of one client',
    'a Durable Object: CPU at saturation',
    'a Durable Object with SQLite, moves, rows upserted per batch of 10',
  ],
  append: [
    'patches at saturation, nothing draining',
    'moves at saturation, nothing draining',
    'moves in place of patches',
    'script calls in Redis, at saturation',
    'all commands in Redis',
  ],
  'drain-hot': [
    'patches over 20 objects, from the first commit to the last',
    'moves over 20 objects, from the first commit to the last',
    'moves of over 32 m over 20 objects, from the first commit to the last',
    'time for moves of over 32 m',
  ],
  'drain-cold': ['patches over 40 objects, from the first commit to the last'],
  through: ['patches', 'moves'],
  both: [
    'accepted',
    'durability lag, p50',
    'durability lag, p99',
    'durability lag, max',
    'resident memory of the second half',
  ],
  wait: ['p50', 'p99'],
  'idle-cpu': ['CPU of the functions, Redis and Postgres'],
  bytes: ['Postgres, 20 objects', 'Postgres, 20 objects, moves of over 32 m', 'Redis, 20 objects'],
  crash: ['acknowledged updates lost', 'objects that are as no request put them'],
  state: ['p50', 'p99'],
  reads: ['10 reads/s', '10 reads/s, accepting an older state'],
  cold: [
    'p50',
    'p99',
    'the first answer of a Worker just started',
    'a Durable Object reading its rows, p50',
    'one SELECT with pg, made into JSON in the same process',
  ],
  'hit-rate': [
    'reads answered from a cache',
    'worlds loaded from Postgres meanwhile',
    'loads from Postgres for 5 readers of a space of which nothing is kept',
  ],
  delivery: ['p50', 'a Durable Object, p50', 'p99', 'a Durable Object, p99'],
  routes: ['mean of the slowest of 21 routes'],
  files: [
    'upload',
    'upload, the bare bucket',
    'download',
    'download, the bare bucket',
    'memory during the upload',
    'memory during the upload, the bare bucket',
    'memory during the download',
    'memory during the download, the bare bucket',
  ],
  library: ['p50', 'p50, a small tenant', 'bytes', 'bytes, a small tenant'],
  client: [
    'change to another client, p50',
    'in batches of 100 ms, p50',
    'without the SDK, p50',
    'change to another client, p99',
    'in batches of 100 ms, p99',
    'without the SDK, p99',
    'memory for each of 40 objects',
    'memory for each, the parsed state without the SDK',
    '10 changes of 0.2 s offline: until all are sent and the world is live',
    '10 changes of 0.2 s offline: requests',
    '10 changes of 0.2 s offline: lost',
  ],
  commands: ['Redis commands', 'Postgres statements', 'Postgres transactions', 'list price'],
};
const EXACT: Record<string, number> = {
  '10 changes of 0.2 s offline: lost': 0,
  'script calls in Redis, at saturation': 1,
  'all commands in Redis': 1,
  'acknowledged updates lost': 0,
  'objects that are as no request put them': 0,
  'loads from Postgres for 5 readers of a space of which nothing is kept': 1,
};
const MAY_BE_0 = new Set([
  '10 reads/s, accepting an older state',
  'memory during the upload',
  'memory during the upload, the bare bucket',
  'memory during the download',
  'memory during the download, the bare bucket',
  'a queue in memory: acknowledged updates lost at SIGKILL',
  'worlds loaded from Postgres meanwhile',
  'Postgres statements',
  'Postgres transactions',
]);

/** Sections that start, measure and kill a Node server in each of the ways that there are. */
const ON_NODE = new Set(['append', 'both', 'crash', 'delivery', 'commands']);

describe('the benchmark', () => {
  let built: Awaited<ReturnType<typeof buildWorker>>;
  let stack: BenchStack;
  let bench: Bench;

  beforeAll(async () => {
    built = await buildWorker();
    // The benchmark counts every command, so no other file may use these stores.
    stack = await startBenchStack();
    bench = {
      sizes: TINY,
      runtime: 'worker',
      workerPath: built.path,
      profile: false,
      tell: () => undefined,
      startServer: (values, changes) => startWorker(built.path, values, changes),
      openStack: async () => ({ ...stack, stop: () => Promise.resolve() }),
    };
  });

  afterAll(async () => {
    built?.remove();
    await stack?.stop();
  });

  const onNode = SECTIONS.filter(({ name }) => ON_NODE.has(name)).map(
    ({ name, measure }) => [name, 'node', measure] as const,
  );
  it.each([...SECTIONS.map(({ name, measure }) => [name, 'worker', measure] as const), ...onNode])(
    'measures every figure of %s on %s',
    async (name, runtime, measure) => {
      const startServer = runtime === 'node' ? startNodeServer : bench.startServer;
      const figures = await measure({ ...bench, runtime, startServer });
      const names = new Set(
        figures.filter(({ what }) => !/^[A-Z]+ (\/|…)/.test(what)).map(({ what }) => what),
      );
      expect([...names]).toEqual(MEASURED[name]);
      for (const { what, values } of figures) {
        expect(values, what).toHaveLength(1);
        const [value = Number.NaN] = values;
        expect(Number.isFinite(value), `${what}: ${value}`).toBe(true);
        if (what in EXACT) expect(value, what).toBe(EXACT[what]);
        else if (MAY_BE_0.has(what)) expect(value, what).toBeGreaterThanOrEqual(0);
        else expect(value, what).toBeGreaterThan(0);
      }
      // Each route has its own figure.
      if (name === 'routes') expect(figures).toHaveLength(22);
    },
  );
});
