import { FAMILIES, type Family } from './families.ts';
import { readField, SUM, SUM_UNITS } from './fields.ts';
import type { Counts, Gauge } from './metrics-stores.ts';

/** The media type of Prometheus's text format. */
export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

interface Series {
  labels: readonly string[];
  value: number;
  /** Of a histogram: observations by the upper bound of their bucket. `value` is the sum in microseconds. */
  buckets: Map<number, number>;
}

type SeriesOf = Map<string, Map<string, Series>>;

/**
 * Prints counts and gauges in Prometheus's text format.
 * @param counts null: nobody knows them, so there are none in the text
 */
export function printMetrics(counts: Counts | null, gauges: readonly Gauge[]): string {
  const families = gather(counts, gauges);
  const lines: string[] = [];
  for (const [name, family] of Object.entries<Family>(FAMILIES)) {
    const series = families.get(name);
    if (series === undefined) continue;
    lines.push(`# HELP ${name} ${escapeHelp(family.help)}`, `# TYPE ${name} ${family.type}`);
    const sorted = [...series.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [, each] of sorted)
      if (family.type === 'histogram') lines.push(...printHistogram(name, family, each));
      else lines.push(`${name}${printLabels(family.labels, each.labels)} ${printNumber(each.value)}`);
  }
  return `${lines.join('\n')}\n`;
}

function gather(counts: Counts | null, gauges: readonly Gauge[]): SeriesOf {
  const families: SeriesOf = new Map();
  if (counts !== null) {
    for (const [name, { type, labels, initial = labels.length === 0 ? [[]] : [] }] of Object.entries<Family>(
      FAMILIES,
    ))
      if (type !== 'gauge') for (const values of initial) open(families, name, values);
    for (const [key, n] of counts) {
      const field = readField(key);
      if (field === null) continue;
      const series = open(families, field.name, field.labels);
      if (field.part === null || field.part === SUM) series.value += n;
      else series.buckets.set(field.part, (series.buckets.get(field.part) ?? 0) + n);
    }
  }
  for (const { name, labels, value } of gauges) open(families, name, labels).value = value;
  return families;
}

function open(families: SeriesOf, name: string, labels: readonly string[]): Series {
  const of = families.get(name) ?? new Map<string, Series>();
  families.set(name, of);
  const key = JSON.stringify(labels);
  const series = of.get(key) ?? { labels, value: 0, buckets: new Map() };
  of.set(key, series);
  return series;
}

/** A bucket that an older version has written counts in the next larger one of this version. */
function printHistogram(name: string, { labels, buckets = [] }: Family, series: Series): string[] {
  const countUpTo = (max: number) =>
    [...series.buckets].reduce((sum, [bound, n]) => (bound <= max ? sum + n : sum), 0);
  const total = countUpTo(Number.POSITIVE_INFINITY);
  const own = printLabels(labels, series.labels);
  return [
    ...[...buckets, Number.POSITIVE_INFINITY].map(
      (max) =>
        `${name}_bucket${printLabels([...labels, 'le'], [...series.labels, printNumber(max)])} ${countUpTo(max)}`,
    ),
    `${name}_sum${own} ${printNumber(series.value / SUM_UNITS)}`,
    `${name}_count${own} ${total}`,
  ];
}

function printLabels(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return '';
  return `{${names.map((label, i) => `${label}="${escapeLabel(values[i] ?? '')}"`).join(',')}}`;
}

function printNumber(value: number): string {
  return value === Number.POSITIVE_INFINITY ? '+Inf' : String(value);
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
