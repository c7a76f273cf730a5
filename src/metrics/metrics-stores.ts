/** Whole numbers by field. See `fields.ts`. */
export type Counts = ReadonlyMap<string, number>;

/** The counts of the whole deployment. */
export interface CounterStore {
  /**
   * Adds counts, in one command. A repeat with the same token within `LIMITS.metricsTokenSeconds` adds nothing, so that a lost reply can
   * be followed by a retry. @throws store_unavailable
   */
  add(token: string, counts: Counts): Promise<void>;
  /** @throws store_unavailable */
  read(): Promise<Counts>;
}

/** One measured value of a gauge. */
export interface Gauge {
  name: string;
  /** In the order of the family's labels. */
  labels: readonly string[];
  value: number;
}

/** A store that is asked for its gauges at each scrape. Its cost has a limit. */
export interface GaugeStore {
  /** @throws store_unavailable */
  readGauges(): Promise<Gauge[]>;
}
