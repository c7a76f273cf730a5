/** The figures of GET /v1/operations that the page plots. Counts only rise while the server runs. */
export interface Sample {
  atMs: number;
  appended: number;
  drained: number;
  lagMs: number;
  /** Operations that wait for their commit. */
  pending: number;
  streams: number;
  /** Null: only a key of the operator's tenant sees them. */
  deployment: DeploymentSample | null;
}

export interface DeploymentSample {
  hits: number;
  misses: number;
  latency: Histogram;
}

/** Cumulative counts of values up to each bound, as Prometheus has them. The last bound is infinite and not in `bounds`. */
export interface Histogram {
  bounds: readonly number[];
  counts: readonly number[];
}

/** One point of all plots. Null: there is nothing to say for this time. */
export interface Point {
  atMs: number;
  appended: number | null;
  drained: number | null;
  lagMs: number | null;
  pending: number | null;
  streams: number | null;
  hitRate: number | null;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

/** The point between two samples. */
export function comparePoints(before: Sample, now: Sample): Point {
  const seconds = (now.atMs - before.atMs) / 1_000;
  const [was, is] = [before.deployment, now.deployment];
  const [p50, p95, p99] = was === null || is === null ? [] : readLatency(was.latency, is.latency);
  return {
    atMs: now.atMs,
    appended: readRate(before.appended, now.appended, seconds),
    drained: readRate(before.drained, now.drained, seconds),
    lagMs: now.lagMs,
    pending: now.pending,
    streams: now.streams,
    hitRate: was === null || is === null ? null : readHitRate(was, is),
    p50: p50 ?? null,
    p95: p95 ?? null,
    p99: p99 ?? null,
  };
}

/** Null: the count began again, because a store lost its memory. */
function readRate(before: number, now: number, seconds: number): number | null {
  return now < before || seconds <= 0 ? null : (now - before) / seconds;
}

/** Null: nothing was read. */
function readHitRate(before: DeploymentSample, now: DeploymentSample): number | null {
  const hits = now.hits - before.hits;
  const all = hits + now.misses - before.misses;
  return hits < 0 || all <= 0 || hits > all ? null : hits / all;
}

const QUANTILES = [0.5, 0.95, 0.99];

function readLatency(before: Histogram, now: Histogram): (number | null)[] {
  const counts = now.counts.map((count, i) => count - (before.counts[i] ?? 0));
  return QUANTILES.map((quantile) => readQuantile(quantile, { bounds: now.bounds, counts }));
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

/** The points of the plots, in columns as uPlot draws them. */
export class History {
  #last: Sample | null = null;
  readonly points: Point[] = [];

  /** @returns the new point; null for the first sample, or for an answer that the page has already */
  add(sample: Sample): Point | null {
    const before = this.#last;
    if (before !== null && sample.atMs <= before.atMs) return null;
    this.#last = sample;
    if (before === null) return null;
    const point = comparePoints(before, sample);
    if (sample.atMs - before.atMs > GAP_MS) this.points.push({ ...NOTHING, atMs: before.atMs + 1 });
    this.points.push(point);
    this.points.splice(0, this.points.length - POINTS_MAX);
    return point;
  }

  /** The seconds since 1970 of all points, and one column for each name. */
  columns(names: readonly PlottedName[]): [number[], ...(number | null)[][]] {
    return [
      this.points.map(({ atMs }) => atMs / 1_000),
      ...names.map((name) => this.points.map((point) => point[name])),
    ];
  }
}

export type PlottedName = Exclude<keyof Point, 'atMs'>;

const NOTHING: Omit<Point, 'atMs'> = {
  appended: null,
  drained: null,
  lagMs: null,
  pending: null,
  streams: null,
  hitRate: null,
  p50: null,
  p95: null,
  p99: null,
};
