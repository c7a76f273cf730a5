import { LIMITS } from '../world/limits.ts';
import { type CounterName, FAMILIES, type HistogramName, type LabelsOf } from './families.ts';
import { type Field, nameField, SUM, SUM_UNITS } from './fields.ts';
import type { CounterStore } from './metrics-stores.ts';

/** The part of `Metrics` that the rest of the product needs. */
export interface Counting {
  add<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, n?: number): void;
  observe<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>, seconds: number): void;
}

/** Counts nothing: nobody can read the counts. */
export const NO_METRICS: Counting = { add: () => undefined, observe: () => undefined };

export interface MetricsOptions {
  /** Milliseconds since 1970. */
  now: () => number;
  /** Calls `run` once after `ms` milliseconds. @returns a function that cancels the call */
  after: (ms: number, run: () => void) => () => void;
  /** Keeps work going that no answer waits for. */
  defer: (work: Promise<unknown>) => void;
  /** A text that nobody else has. */
  createToken: () => string;
  /** Told of a flush that failed. The counts stay, and the next flush sends them. */
  onFailure: (cause: unknown) => void;
  /** Series of one process. */
  seriesMax?: number | undefined;
}

/** Counts on their way to the store: sent again with the same token until the store has answered. */
interface Parcel {
  token: string;
  counts: Map<string, number>;
  /** When it was first sent. */
  sentMs: number;
}

/** Milliseconds after which a flush counts as ended: a Worker ends work 30 s after its answer. */
const FLUSH_MS_MAX = 40_000;
const DROPPED = nameField({ name: 'worldkeep_counts_dropped_total', labels: [], part: null });

/**
 * Counts in memory, and adds them to the counts of the deployment. A request never waits for a count.
 *
 *   first count ─► 10 s ─► flush: one command ─┬─ added ──► the next count begins again
 *                                              └─ failed ─► kept, and sent again with the same token
 */
export class Metrics implements Counting {
  readonly #store: CounterStore;
  readonly #options: MetricsOptions;
  #counts = new Map<string, number>();
  #parcel: Parcel | null = null;
  /** A flush is to come until this time. */
  #flushUntilMs = 0;
  #isEnding = false;
  /** The newest flush to come. */
  #later: Promise<void> = Promise.resolve();
  /** Ends the pause before it. */
  #wake: () => void = () => undefined;

  constructor(store: CounterStore, options: MetricsOptions) {
    this.#store = store;
    this.#options = options;
  }

  add<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, n = 1): void {
    if (n > 0) this.#add({ name, labels: listLabels(name, labels), part: null }, n);
  }

  observe<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>, seconds: number): void {
    const values = listLabels(name, labels);
    const taken = Math.max(0, seconds);
    const bound = FAMILIES[name].buckets.find((max) => taken <= max) ?? Number.POSITIVE_INFINITY;
    this.#add({ name, labels: values, part: bound }, 1);
    this.#add({ name, labels: values, part: SUM }, Math.round(taken * SUM_UNITS));
  }

  #add(field: Field, n: number): void {
    const { seriesMax = LIMITS.metricsSeriesMax, now, defer } = this.#options;
    let key = nameField(field);
    if (!this.#counts.has(key) && this.#counts.size >= seriesMax) key = DROPPED;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + n);
    const nowMs = now();
    if (this.#isEnding || nowMs < this.#flushUntilMs) return;
    this.#flushUntilMs = nowMs + FLUSH_MS_MAX;
    this.#later = this.#flushLater();
    defer(this.#later);
  }

  async #flushLater(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.after(LIMITS.metricsFlushMs, resolve);
    this.#wake = () => {
      cancel();
      resolve();
    };
    await promise;
    // Counts that come while the flush runs begin the next one.
    this.#flushUntilMs = 0;
    await this.flush();
  }

  /** Adds all counts to the counts of the deployment. It tells of a failure and does not throw it. */
  async flush(): Promise<void> {
    const { now, createToken, onFailure } = this.#options;
    if (this.#parcel !== null && now() - this.#parcel.sentMs >= LIMITS.metricsTokenSeconds * 1_000) {
      // The store may have added it, and has forgotten its token. Too little is better than twice.
      this.#parcel = null;
    }
    try {
      while (this.#parcel !== null || this.#counts.size > 0) {
        const parcel: Parcel = this.#parcel ?? { token: createToken(), counts: this.#counts, sentMs: now() };
        if (this.#parcel === null) this.#counts = new Map();
        this.#parcel = parcel;
        await this.#store.add(parcel.token, parcel.counts);
        if (this.#parcel === parcel) this.#parcel = null;
      }
    } catch (cause) {
      onFailure(cause);
    }
  }

  /** The process ends: flushes now. Counts after that are lost. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#wake();
    await this.#later;
    await this.flush();
  }
}

function listLabels(name: CounterName | HistogramName, labels: Readonly<Record<string, string>>): string[] {
  return FAMILIES[name].labels.map((label) => labels[label] ?? '');
}
