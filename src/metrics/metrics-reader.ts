import { withTimeout } from '../helpers/time.ts';
import { AppError, isAway } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { printMetrics } from './exposition.ts';
import type { CounterStore, Counts, Gauge, GaugeStore } from './metrics-stores.ts';

/** The stores of a deployment, by the names that `worldkeep_store_up` shows. */
export interface MetricsSources {
  counters: CounterStore;
  gauges: Readonly<Record<string, GaugeStore>>;
}

export interface MetricsReaderOptions {
  /** Milliseconds since 1970. */
  now: () => number;
  /** Milliseconds for which a store is waited for. */
  storeMsMax?: number;
}

/** The text of a scrape: only what the stores hold, so that every process gives the same. */
export class MetricsReader {
  readonly #sources: MetricsSources;
  readonly #options: MetricsReaderOptions;
  #known: { text: string; atMs: number } | null = null;

  constructor(sources: MetricsSources, options: MetricsReaderOptions) {
    this.#sources = sources;
    this.#options = options;
  }

  /** A store that is away leaves its part out. An answer is repeated for `LIMITS.metricsCacheMs`, so that scrapes cannot load the stores. */
  async read(): Promise<string> {
    const { now } = this.#options;
    if (this.#known !== null && now() - this.#known.atMs < LIMITS.metricsCacheMs) return this.#known.text;
    const { counters, gauges } = this.#sources;
    const [counts, ...found] = await Promise.all([
      this.#orNull<Counts>(counters.read()),
      ...Object.entries(gauges).map(async ([store, source]) => ({
        store,
        gauges: await this.#orNull<Gauge[]>(source.readGauges()),
      })),
    ]);
    const text = printMetrics(
      counts,
      found.flatMap((of) => [
        { name: 'worldkeep_store_up', labels: [of.store], value: of.gauges === null ? 0 : 1 },
        ...(of.gauges ?? []),
      ]),
    );
    this.#known = { text, atMs: now() };
    return text;
  }

  async #orNull<T>(work: Promise<T>): Promise<T | null> {
    const { storeMsMax = LIMITS.metricsStoreMs } = this.#options;
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
