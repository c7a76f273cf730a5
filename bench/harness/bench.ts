import type { StackValues } from '../../dev/stack.ts';
import type { WorkerVariables } from '../../dev/worker.ts';
import type { Figure } from './report.ts';
import type { BenchStack } from './stack.ts';
import type { Workerd } from './workerd.ts';

export type Runtime = 'worker' | 'node';

/** How large the measurements are. The figures are for {@link FULL_SIZES}; smaller sizes only show that all works. */
export interface Sizes {
  /** How often each is measured; the median counts. */
  runs: number;
  opsPerRequest: number;
  connections: number;
  hotObjects: number;
  coldObjects: number;
  append: { warmUpSeconds: number; seconds: number };
  drain: { hotUpdates: number; coldUpdates: number };
  both: { warmUpSeconds: number; seconds: number; updatesPerSecond: number };
  through: { warmUpUpdates: number; updates: number };
  wait: { warmUpRequests: number; requests: number };
  idleCpu: { seconds: number; updatesPerSecond: number };
  bytes: { updates: number; updatesPerSecond: number; objects: readonly number[] };
  crash: { kills: number; baselineKills: number };
  state: {
    warmUpSeconds: number;
    seconds: number;
    updatesPerSecond: number;
    small: { objects: number; readsPerSecond: number };
    large: { objects: number; readsPerSecond: number };
  };
  hitRate: {
    spaces: number;
    objects: number;
    /** Longer than a minute: the parts of a state that are not in the log are kept for a minute. */
    seconds: number;
    readsPerSecond: number;
    writesPerSecond: number;
    herd: number;
  };
  delivery: { warmUpSeconds: number; seconds: number } & Record<
    'one' | 'many',
    { subscribers: number; requestsPerSecond: number; opsPerRequest: number }
  >;
  reads: { rates: readonly number[]; seconds: number };
  cold: { objects: readonly number[]; loads: number };
  routes: { requests: number };
  files: { bytes: number };
  library: { models: number; references: number; reads: number };
  client: {
    changes: number;
    perSecond: number;
    objects: number;
    /** Longer than a minute: then the log no longer has the changes that the client has missed. */
    offline: { changes: number; seconds: number };
  };
  commands: { seconds: number; updatesPerSecond: number; readsPerSecond: number };
  baseline: { drizzleUpdates: number; missionUpdates: number; seconds: number; hundreds: number };
}

export const FULL_SIZES: Sizes = {
  runs: 5,
  opsPerRequest: 100,
  connections: 16,
  hotObjects: 1_000,
  coldObjects: 100_000,
  append: { warmUpSeconds: 2, seconds: 8 },
  drain: { hotUpdates: 400_000, coldUpdates: 200_000 },
  both: { warmUpSeconds: 15, seconds: 60, updatesPerSecond: 50_000 },
  through: { warmUpUpdates: 50_000, updates: 400_000 },
  wait: { warmUpRequests: 50, requests: 1_000 },
  idleCpu: { seconds: 30, updatesPerSecond: 2_000 },
  bytes: { updates: 300_000, updatesPerSecond: 10_000, objects: [1_000, 10_000] },
  crash: { kills: 100, baselineKills: 20 },
  state: {
    warmUpSeconds: 3,
    seconds: 10,
    updatesPerSecond: 5_000,
    small: { objects: 1_000, readsPerSecond: 50 },
    large: { objects: 10_000, readsPerSecond: 5 },
  },
  hitRate: { spaces: 200, objects: 50, seconds: 90, readsPerSecond: 100, writesPerSecond: 40, herd: 100 },
  delivery: {
    warmUpSeconds: 2,
    seconds: 10,
    one: { subscribers: 1, requestsPerSecond: 200, opsPerRequest: 1 },
    many: { subscribers: 100, requestsPerSecond: 20, opsPerRequest: 10 },
  },
  reads: { rates: [1, 10, 100], seconds: 10 },
  cold: { objects: [1_000, 10_000], loads: 20 },
  routes: { requests: 50 },
  files: { bytes: 95 * 2 ** 20 },
  library: { models: 50_000, references: 10, reads: 200 },
  client: { changes: 500, perSecond: 50, objects: 100_000, offline: { changes: 1_000, seconds: 70 } },
  commands: { seconds: 20, updatesPerSecond: 5_000, readsPerSecond: 50 },
  baseline: { drizzleUpdates: 15_000, missionUpdates: 100_000, seconds: 8, hundreds: 200 },
};

/** The input of a section. */
export interface Bench {
  sizes: Sizes;
  /** Where the functions run: in workerd over HTTP drivers and emulators, or on Node over TCP. */
  runtime: Runtime;
  /** The path of the built Worker's one module. */
  workerPath: string;
  /** Starts the functions on a stack, with rate limits off. All other settings are defaults, except `changes`. */
  startServer(values: StackValues, changes?: WorkerVariables): Promise<Workerd>;
  /** Starts stores for one section, so that no section measures data of another. The section stops them. */
  openStack(): Promise<BenchStack>;
  /** Also tells where the Worker's time goes. This makes it slower, so the figures do not count. */
  profile: boolean;
  /** Tells the progress. */
  tell(line: string): void;
}

export type Section = (bench: Bench) => Promise<Figure[]>;

/** Measures `runs` times, and tells each. */
export async function repeat<T>(
  { sizes, tell }: Bench,
  name: string,
  measure: (run: number) => Promise<T>,
): Promise<T[]> {
  const taken: T[] = [];
  for (let run = 1; run <= sizes.runs; run++) {
    tell(`${name}: run ${run} of ${sizes.runs}`);
    taken.push(await measure(run));
  }
  return taken;
}
