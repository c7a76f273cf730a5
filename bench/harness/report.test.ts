import { describe, expect, it } from 'vitest';
import { buildRows, type Figure, formatRows } from './report.ts';
import { median, percentile } from './statistics.ts';

describe('statistics', () => {
  it('finds the middle and the rank', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(percentile([5, 1, 4, 2, 3], 50)).toBe(3);
    expect(percentile([1, 2], 99)).toBe(2);
    expect(median([])).toBeNaN();
  });

  it('says whether the median is as it is due', () => {
    const figure = { section: 's', what: 'w', unit: 'u', values: [1, 3, 2] };
    const [most, least, none] = buildRows([
      { ...figure, due: { atMost: 2 } },
      { ...figure, due: { atLeast: 2.5 } },
      figure,
    ]);
    expect([most?.isMet, least?.isMet, none?.isMet]).toEqual([true, false, null]);
    expect([most?.median, most?.min, most?.max]).toEqual([2, 1, 3]);
  });

  it('divides each figure by every baseline with the same measure', () => {
    const measure = 'updates/s';
    const figures: Figure[] = [
      { section: 'append', what: 'ours', unit: '/s', values: [90, 110, 100], measure },
      { section: 'baselines', what: 'slow', unit: '/s', values: [50], measure, baseline: 'a queue' },
      {
        section: 'baselines',
        what: 'fast',
        unit: '/s',
        values: [200],
        measure,
        baseline: 'a Durable Object',
      },
      { section: 'wait', what: 'p50', unit: 'ms', values: [5], measure: 'ms for 100 durable updates' },
    ];
    const rows = buildRows(figures);
    expect(rows.map(({ ratios }) => ratios)).toEqual([{ 'a queue': 2, 'a Durable Object': 0.5 }, {}, {}, {}]);
    expect(formatRows(rows)).toContain('× a Durable Object');
  });
});
