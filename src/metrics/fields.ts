import { findFamily } from './families.ts';

/**
 * The name of one count in a store: the family and its label values, with `|` between. A histogram adds the upper bound of a bucket, or
 * `sum`. A bucket counts only its own observations, so that an observation changes two counts. The sum is in microseconds.
 */
const SEPARATOR = '|';
export const SUM = 'sum';
export const SUM_UNITS = 1_000_000;

export interface Field {
  name: string;
  labels: readonly string[];
  /** Of a histogram. */
  part: number | typeof SUM | null;
}

export function nameField({ name, labels, part }: Field): string {
  return [name, ...labels, ...(part === null ? [] : [String(part)])].join(SEPARATOR);
}

/** @returns null for a field that another version has written. */
export function readField(field: string): Field | null {
  const [name = '', ...rest] = field.split(SEPARATOR);
  const family = findFamily(name);
  if (family === null || family.type === 'gauge') return null;
  const isHistogram = family.type === 'histogram';
  if (rest.length !== family.labels.length + (isHistogram ? 1 : 0)) return null;
  if (!isHistogram) return { name, labels: rest, part: null };
  const [labels, part] = [rest.slice(0, -1), rest.at(-1)];
  if (part === SUM) return { name, labels, part };
  const bound = Number(part);
  return part === '' || Number.isNaN(bound) ? null : { name, labels, part: bound };
}
