/** The figures of GET /v1/operations that the page plots. Null: unknown. */
export interface Sample {
  atMs: number;
  /** Counts that only rise while the server runs. */
  appended: number | null;
  drained: number | null;
  /** Milliseconds for which the oldest pending entry has waited. */
  lagMs: number | null;
  /** Operations that wait for their commit. */
  pending: number | null;
  streams: number | null;
  /** Counts of the deployment: they rise every 10 s, when processes add theirs. */
  hits: number | null;
  misses: number | null;
  append: Histogram | null;
  read: Histogram | null;
  commit: Histogram | null;
}

/** Cumulative counts of values up to each bound in milliseconds. The last count is of all values. */
export interface Histogram {
  bounds: readonly number[];
  counts: readonly number[];
}

/** The latencies: of updates, of reads of states, and from append to commit. */
const LATENCIES = ['append', 'read', 'commit'] as const;
const QUANTILES = { p50: 0.5, p95: 0.95, p99: 0.99 } as const;
export type LatencyName = `${(typeof LATENCIES)[number]}.${keyof typeof QUANTILES}`;
type PlainName = 'appended' | 'drained' | 'lagMs' | 'pending' | 'streams' | 'hitRate';
export type PlottedName = PlainName | LatencyName;

/** One point of all plots. A name without a value has nothing to show for this time. */
export type Point = { atMs: number } & Partial<Record<PlottedName, number | null>>;

/** The point between two samples. */
function compareSamples(before: Sample, now: Sample): Point {
  const seconds = (now.atMs - before.atMs) / 1_000;
  const { lagMs, pending, streams } = now;
  return {
    atMs: now.atMs,
    appended: readRate(before.appended, now.appended, seconds),
    drained: readRate(before.drained, now.drained, seconds),
    lagMs,
    pending,
    streams,
    hitRate: readHitRate(before, now),
    ...Object.fromEntries(LATENCIES.flatMap((name) => readLatency(name, before[name], now[name]))),
  };
}

export function readRate(before: number | null, now: number | null, seconds: number): number | null {
  if (before === null || now === null || seconds <= 0) return null;
  // The count began again, because a store lost its memory.
  return now < before ? null : (now - before) / seconds;
}

/** Null: nothing was read, or it was not counted yet. */
function readHitRate(before: Sample, now: Sample): number | null {
  if (before.hits === null || before.misses === null || now.hits === null || now.misses === null) return null;
  const hits = now.hits - before.hits;
  const all = hits + now.misses - before.misses;
  return hits < 0 || all <= 0 || hits > all ? null : hits / all;
}

function readLatency(
  name: string,
  before: Histogram | null,
  now: Histogram | null,
): [string, number | null][] {
  if (before === null || now === null) return [];
  const counts = now.counts.map((count, i) => count - (before.counts[i] ?? 0));
  return Object.entries(QUANTILES).map(([label, quantile]) => [
    `${name}.${label}`,
    readQuantile(quantile, { bounds: now.bounds, counts }),
  ]);
}

/**
 * The value that a part of all values does not exceed, between the bounds of its bucket as `histogram_quantile` of Prometheus does.
 * Null: there are no values.
 */
export function readQuantile(quantile: number, { bounds, counts }: Histogram): number | null {
  const all = counts.at(-1) ?? 0;
  if (all <= 0) return null;
  const rank = quantile * all;
  const at = counts.findIndex((count) => count >= rank);
  const upper = bounds[at];
  // Above the last bound nothing is known, so the bound is shown.
  if (upper === undefined) return bounds.at(-1) ?? null;
  const lower = at === 0 ? 0 : (bounds[at - 1] ?? 0);
  const below = at === 0 ? 0 : (counts[at - 1] ?? 0);
  const inside = (counts[at] ?? 0) - below;
  return inside <= 0 ? upper : lower + ((upper - lower) * (rank - below)) / inside;
}

/** Half an hour of answers that are 2 s apart. */
const POINTS_MAX = 900;
/** A longer time between two answers is a gap: the page was hidden, or the server was away. */
const GAP_MS = 10_000;
/** Counts of the deployment come every 10 s, so a point may have none. */
const NEWEST_MS = 25_000;

/** The points of the plots. */
export class History {
  #last: Sample | null = null;
  readonly points: Point[] = [];

  /** @returns the new point; null for the first sample, or for an answer that the page has already */
  add(sample: Sample): Point | null {
    const before = this.#last;
    if (before !== null && sample.atMs <= before.atMs) return null;
    this.#last = sample;
    if (before === null) return null;
    const point = compareSamples(before, sample);
    if (sample.atMs - before.atMs > GAP_MS) this.points.push({ atMs: before.atMs + 1 });
    this.points.push(point);
    this.points.splice(0, this.points.length - POINTS_MAX);
    return point;
  }

  /** In columns, as uPlot draws them: the seconds since 1970 of all points, and the values of each name. */
  columns(names: readonly PlottedName[]): [number[], ...(number | null)[][]] {
    return [
      this.points.map(({ atMs }) => atMs / 1_000),
      ...names.map((name) => this.points.map((point) => point[name] ?? null)),
    ];
  }

  /** The value at a point, or the newest one shortly before it. */
  read(name: PlottedName, at = this.points.length - 1): number | null {
    const fromMs = (this.points[at]?.atMs ?? 0) - NEWEST_MS;
    for (let i = at; i >= 0; i--) {
      const point = this.points[i];
      if (point === undefined || point.atMs < fromMs) return null;
      const value = point[name];
      if (value != null) return value;
    }
    return null;
  }
}
