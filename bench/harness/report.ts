import { readFileSync } from 'node:fs';
import { cpus, hostname, totalmem } from 'node:os';
import { Redis } from 'ioredis';
import pg from 'pg';
import type { StackValues } from '../../dev/stack.ts';
import { median } from './statistics.ts';

/** The kind of a figure. A figure can be given as a multiple of another one of the same kind. */
export type Measure =
  | 'updates/s'
  | 'updates/s, moves'
  | 'ms for 100 durable updates'
  | 'CPU µs an update'
  | 'bytes an object'
  | `ms ${string}`;

/** One measured quantity: a value per run. */
export interface Figure {
  section: string;
  what: string;
  unit: string;
  values: number[];
  /** The limit that the median must meet. */
  due?: { atLeast: number } | { atMost: number } | { ratio: string; atLeast: number };
  /** The limit is a promise, not a goal for speed: if the figure misses it, the run fails. */
  isPromise?: boolean;
  /** The kind by which it is compared with figures of other sections. */
  measure?: Measure;
  /** The name of the baseline that this figure belongs to. */
  baseline?: string;
  /** Facts that a reader needs to understand the figure. */
  note?: string;
  /** The report shows it only among the values of every run. */
  isDetail?: boolean;
}

export interface Row extends Figure {
  median: number;
  min: number;
  max: number;
  isMet: boolean | null;
  /** The figure as a multiple of each baseline of the same run, by the baseline's name. */
  ratios: Record<string, number>;
}

/** The median of each figure, also as a multiple of the baselines in the same run. */
export function buildRows(figures: readonly Figure[]): Row[] {
  return figures.map((figure) => {
    const middle = median(figure.values);
    const { due } = figure;
    const baselines = figures.filter(
      ({ baseline, measure }) =>
        baseline !== undefined && measure !== undefined && measure === figure.measure,
    );
    const ratios =
      figure.baseline === undefined
        ? Object.fromEntries(baselines.map(({ baseline, values }) => [baseline, middle / median(values)]))
        : {};
    return {
      ...figure,
      median: middle,
      min: Math.min(...figure.values),
      max: Math.max(...figure.values),
      isMet: isMet(due, middle, ratios),
      ratios,
    };
  });
}

/** Null if the figure has no limit, or if its baseline was not measured. */
function isMet(due: Figure['due'], middle: number, ratios: Record<string, number>): boolean | null {
  if (due === undefined) return null;
  if ('atMost' in due) return middle <= due.atMost;
  if (!('ratio' in due)) return middle >= due.atLeast;
  const ratio = ratios[due.ratio];
  return ratio === undefined ? null : ratio >= due.atLeast;
}

/** Each figure as a multiple of each baseline, as a table in plain text. */
export function formatRatios(rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap(({ ratios }) => Object.keys(ratios)))];
  const lines = rows
    .filter(({ ratios, isDetail }) => Object.keys(ratios).length > 0 && !isDetail)
    .map(({ section, what, ratios }) => [
      `${section}: ${what}`,
      ...names.map((name) => (ratios[name] === undefined ? '' : format(ratios[name]))),
    ]);
  const table = [['ours ÷ baseline', ...names], ...lines];
  const widths =
    table[0]?.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0))) ?? [];
  return table
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The rows as a table in plain text. */
export function formatRows(rows: readonly Row[]): string {
  const lines: string[] = [];
  let section = '';
  for (const row of rows) {
    if (row.isDetail) continue;
    if (row.section !== section) lines.push('', row.section);
    section = row.section;
    const { due } = row;
    const range = row.values.length > 1 ? ` (${format(row.min)} to ${format(row.max)})` : '';
    lines.push(`  ${row.what}: ${format(row.median)}${range} ${row.unit}`);
    if (due !== undefined) {
      const [sign, limit] = 'atLeast' in due ? ['at least', due.atLeast] : ['at most', due.atMost];
      const of = 'ratio' in due ? ` × ${due.ratio}` : '';
      const how = row.isMet === null ? 'not compared' : row.isMet ? 'met' : 'MISSED';
      lines.push(`    due: ${sign} ${format(limit)}${of}: ${how}`);
    }
    const ratios = Object.entries(row.ratios).map(([name, ratio]) => `${format(ratio)} × ${name}`);
    if (ratios.length > 0) lines.push(`    ${ratios.join(', ')}`);
    if (row.note !== undefined) lines.push(`    ${row.note}`);
  }
  return lines.join('\n').trimStart();
}

/** Three digits, or all of a whole number. */
export function format(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
  return Number(value.toFixed(digits)).toLocaleString('en-US', { maximumFractionDigits: 3 });
}

/** `{a: 1.234, b: 2}` as `a 1.23, b 2`, largest first. */
export function formatParts(parts: Readonly<Record<string, number>>): string {
  return Object.entries(parts)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, value]) => `${name} ${format(value)}`)
    .join(', ');
}

/** The CPU time of each process, in µs an update: the mean of several runs. */
export function describeCpu(runs: readonly { seconds: Record<string, number>; updates: number }[]): string {
  const parts: Record<string, number> = {};
  for (const { seconds, updates } of runs)
    for (const [name, value] of Object.entries(seconds))
      if (name !== 'total') parts[name] = (parts[name] ?? 0) + ((value / updates) * 1e6) / runs.length;
  return `CPU in µs an update: ${formatParts(parts)}`;
}

/** The machine and the versions of the stores, in one line. */
export async function describeMachine(values: StackValues): Promise<string> {
  const redis = new Redis(values.redisUrl);
  const postgres = new pg.Client({ connectionString: values.superuserUrl });
  try {
    await postgres.connect();
    const { rows } = await postgres.query<{ server_version: string }>('show server_version');
    const info = await redis.info('server');
    const redisVersion = /^(?:valkey|redis)_version:(\S+)/m.exec(info);
    const memoryGiB = (totalmem() / 2 ** 30).toFixed(0);
    return [
      `${hostname()}: ${cpus().length} × ${readCpuModel()}`,
      `${memoryGiB} GiB`,
      `Node ${process.version}`,
      `Postgres ${rows[0]?.server_version}`,
      `Redis ${redisVersion?.[1]}, appendfsync always`,
    ].join(', ');
  } finally {
    redis.disconnect();
    await postgres.end();
  }
}

function readCpuModel(): string {
  const model = cpus()[0]?.model.trim();
  if (model !== undefined && model !== '' && model !== 'unknown') return model;
  return /^model name\s*:\s*(.+)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown CPU';
}
