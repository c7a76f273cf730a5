import { LRUCache } from 'lru-cache';
import { withTimeout } from '../helpers/time.ts';
import { AppError, isAway } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { FAMILIES, type HistogramName } from './families.ts';
import { nameField, SUM, SUM_UNITS } from './fields.ts';
import type { LogFiguresStore, SpaceFigures, SpilledStore } from './figures-stores.ts';
import type { CounterStore, Counts } from './metrics-stores.ts';

/** The figures of a tenant, as GET /v1/operations shows them. Null: the store that knows them is away, or there is none. */
export interface Figures {
  at: string;
  /** Which stores answered; `cache` is null without a Redis. */
  answered: { database: boolean; cache: boolean | null };
  tenant: TenantFigures;
  spaces: SpaceFigures[];
  /** Null unless the figures of the whole deployment were asked for. */
  deployment: DeploymentFigures | null;
}

export interface TenantFigures {
  /** Operations that logs took: `drained` and the pending ones. It falls only if entries are lost, or if their space is deleted. */
  appended: number | null;
  /** Operations that drains committed. */
  drained: number | null;
  pendingSpaces: number | null;
  pendingOperations: number | null;
  pendingEntries: number | null;
  pendingBytes: number | null;
  /** Milliseconds for which the oldest pending entry has waited: the durability lag. */
  oldestPendingMs: number | null;
  /** Requests in Postgres that wait for Redis. */
  spilled: number | null;
  /** Open streams. */
  streams: number | null;
}

/** Counts only rise. Each process adds its own every 10 s, and only with a METRICS_TOKEN: without it they are null. */
export interface DeploymentFigures {
  streams: number | null;
  pendingSpaces: number | null;
  appended: number | null;
  drained: number | null;
  withoutEffect: number | null;
  cacheHits: number | null;
  cacheMisses: number | null;
  /** `append`: POST …/updates. `read`: GET …/state. `commit`: from append to commit, of the oldest entry in each batch. */
  latency: { append: Histogram; read: Histogram; commit: Histogram } | null;
}

export interface Histogram {
  /** Upper bounds in seconds, ascending. */
  le: readonly number[];
  /** Observations up to each bound, cumulative. */
  counts: number[];
  /** All observations, also those above the last bound. */
  count: number;
  sumSeconds: number;
}

export interface FiguresSources {
  /** Null without a Redis. */
  log: LogFiguresStore | null;
  database: SpilledStore;
  /** The counts of the deployment, if they are not in the Redis of `log`. */
  counters: Pick<CounterStore, 'read'> | null;
}

export interface FiguresOptions {
  /** Milliseconds since 1970. */
  now: () => number;
  /** Whether processes count: without a METRICS_TOKEN they do not. */
  counts: boolean;
  /** Milliseconds for which a store is waited for. */
  storeMsMax: number;
}

const TENANTS_CACHED_MAX = 100;
const APPENDED = ['queued', 'committed', 'spilled', 'memory'].map((durability) =>
  fieldOf('worldkeep_operations_appended_total', durability),
);
const DRAINED = fieldOf('worldkeep_operations_drained_total');
const WITHOUT_EFFECT = fieldOf('worldkeep_operations_without_effect_total');
const [HITS, MISSES] = [
  fieldOf('worldkeep_state_reads_total', 'hit'),
  fieldOf('worldkeep_state_reads_total', 'miss'),
];
const REQUESTS = 'worldkeep_http_request_seconds';
const LATENCIES = {
  append: { name: REQUESTS, labels: ['POST', '/v1/spaces/:space/updates'] },
  read: { name: REQUESTS, labels: ['GET', '/v1/spaces/:space/state'] },
  commit: { name: 'worldkeep_durability_lag_seconds', labels: [] },
} as const satisfies Record<string, { name: HistogramName; labels: readonly string[] }>;
/** The counts of the deployment that are shown: other counts are not read. */
const FIELDS = [
  ...[...APPENDED, DRAINED, WITHOUT_EFFECT, HITS, MISSES],
  ...Object.values(LATENCIES).flatMap(listFields),
];

/** The figures for the operations page. It asks often, so each answer costs at most three calls to stores and reads no whole table. */
export class FiguresReader {
  readonly #sources: FiguresSources;
  readonly #options: FiguresOptions;
  readonly #known = new LRUCache<string, { figures: Figures; atMs: number }>({ max: TENANTS_CACHED_MAX });

  constructor(sources: FiguresSources, options: FiguresOptions) {
    this.#sources = sources;
    this.#options = options;
  }

  /**
   * A store that is away leaves its figures null. An answer is repeated for `LIMITS.figuresCacheMs`, so that many pages cost as much
   * as one.
   * @param showsDeployment whether the caller may see figures of all tenants together
   */
  async read(tenantId: string, { showsDeployment }: { showsDeployment: boolean }): Promise<Figures> {
    const { now } = this.#options;
    const key = `${showsDeployment ? 'all' : 'own'} ${tenantId}`;
    const known = this.#known.get(key);
    if (known !== undefined && now() - known.atMs < LIMITS.figuresCacheMs) return known.figures;
    const figures = await this.#read(tenantId, showsDeployment);
    this.#known.set(key, { figures, atMs: now() });
    return figures;
  }

  async #read(tenantId: string, showsDeployment: boolean): Promise<Figures> {
    const { log: store, database, counters } = this.#sources;
    const asksCounts = showsDeployment && this.#options.counts;
    const [log, spilled, counted] = await Promise.all([
      store && this.#orNull(store.readFigures(tenantId, asksCounts ? FIELDS : [])),
      this.#orNull(database.countSpilled(tenantId)),
      asksCounts && counters !== null ? this.#orNull(counters.read()) : null,
    ]);
    const pending = log?.pending;
    const counts = !asksCounts ? null : counters === null ? (log?.deployment.counts ?? null) : counted;
    return {
      at: new Date(this.#options.now()).toISOString(),
      answered: { database: spilled !== null, cache: store === null ? null : log !== null },
      tenant: {
        appended: log && log.drained + log.pending.operations,
        drained: log?.drained ?? null,
        pendingSpaces: pending?.spaces ?? null,
        pendingOperations: pending?.operations ?? null,
        pendingEntries: pending?.entries ?? null,
        pendingBytes: pending?.bytes ?? null,
        oldestPendingMs: pending?.oldestMs ?? null,
        spilled,
        streams: log?.streams ?? null,
      },
      spaces: log?.spaces ?? [],
      deployment: showsDeployment
        ? {
            streams: log?.deployment.streams ?? null,
            pendingSpaces: log?.deployment.pendingSpaces ?? null,
            ...readCounts(counts),
          }
        : null,
    };
  }

  async #orNull<T>(work: Promise<T>): Promise<T | null> {
    const { storeMsMax } = this.#options;
    try {
      return await withTimeout(
        storeMsMax,
        work,
        () => new AppError('store_unavailable', `A store did not answer within ${storeMsMax} ms.`),
      );
    } catch (error) {
      if (isAway(error)) return null;
      throw error;
    }
  }
}

function readCounts(counts: Counts | null): Omit<DeploymentFigures, 'streams' | 'pendingSpaces'> {
  if (counts === null)
    return {
      appended: null,
      drained: null,
      withoutEffect: null,
      cacheHits: null,
      cacheMisses: null,
      latency: null,
    };
  const read = (field: string) => counts.get(field) ?? 0;
  return {
    appended: APPENDED.reduce((sum, field) => sum + read(field), 0),
    drained: read(DRAINED),
    withoutEffect: read(WITHOUT_EFFECT),
    cacheHits: read(HITS),
    cacheMisses: read(MISSES),
    latency: {
      append: readHistogram(LATENCIES.append, read),
      read: readHistogram(LATENCIES.read, read),
      commit: readHistogram(LATENCIES.commit, read),
    },
  };
}

type Latency = (typeof LATENCIES)[keyof typeof LATENCIES];

function readHistogram({ name, labels }: Latency, read: (field: string) => number): Histogram {
  const le = FAMILIES[name].buckets;
  let count = 0;
  const counts = le.map((part) => {
    count += read(nameField({ name, labels, part }));
    return count;
  });
  return {
    le,
    counts,
    count: count + read(nameField({ name, labels, part: Number.POSITIVE_INFINITY })),
    sumSeconds: read(nameField({ name, labels, part: SUM })) / SUM_UNITS,
  };
}

function listFields({ name, labels }: Latency): string[] {
  const parts = [...FAMILIES[name].buckets, Number.POSITIVE_INFINITY, SUM] as const;
  return parts.map((part) => nameField({ name, labels, part }));
}

function fieldOf(name: string, ...labels: string[]): string {
  return nameField({ name, labels, part: null });
}
