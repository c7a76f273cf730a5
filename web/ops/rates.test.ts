import { describe, expect, it } from 'vitest';
import { History, readQuantile, type Sample } from './rates.ts';

const SAMPLE: Sample = {
  atMs: 0,
  appended: 0,
  drained: 0,
  lagMs: 0,
  pending: 0,
  streams: 0,
  hits: null,
  misses: null,
  append: null,
  read: null,
  commit: null,
};
const BOUNDS = [10, 100, 1_000];

describe('a point between two answers', () => {
  it('has the rates of counts, and the newest of all other figures', () => {
    const history = new History();
    expect(history.add({ ...SAMPLE, appended: 100, drained: 90 })).toBeNull();
    expect(
      history.add({
        ...SAMPLE,
        atMs: 2_000,
        appended: 150,
        drained: 130,
        lagMs: 40,
        pending: 20,
        streams: 3,
      }),
    ).toEqual({
      atMs: 2_000,
      appended: 25,
      drained: 20,
      lagMs: 40,
      pending: 20,
      streams: 3,
      hitRate: null,
    });
  });

  it('has no rate of a count that began again, and none of an answer that it had before', () => {
    const history = new History();
    history.add({ ...SAMPLE, appended: 100, drained: 5 });
    expect(history.add({ ...SAMPLE, atMs: 1_000, appended: 10, drained: 7 })).toMatchObject({
      appended: null,
      drained: 2,
    });
    expect(history.add({ ...SAMPLE, atMs: 1_000, appended: 50 })).toBeNull();
    expect(history.points).toHaveLength(1);
  });

  it('has the hit rate and the latency of the time between both answers only', () => {
    const history = new History();
    const before = { hits: 1_000, misses: 0, append: { bounds: BOUNDS, counts: [50, 50, 50, 50] } };
    const now = { hits: 1_003, misses: 1, append: { bounds: BOUNDS, counts: [50, 150, 150, 150] } };
    history.add({ ...SAMPLE, ...before });
    const point = history.add({ ...SAMPLE, ...now, atMs: 1_000 });
    expect(point?.hitRate).toBe(0.75);
    expect(point?.['append.p50']).toBeCloseTo(55);
    expect(point?.['append.p99']).toBeCloseTo(99.1);
    expect(history.add({ ...SAMPLE, ...now, atMs: 2_000 })).toMatchObject({
      hitRate: null,
      'append.p50': null,
    });
    // The newest value is shown until the next counts come.
    expect(history.read('hitRate')).toBe(0.75);
    expect(history.add({ ...SAMPLE, ...now, atMs: 40_000 })).toMatchObject({ hitRate: null });
    expect(history.read('hitRate')).toBeNull();
  });

  it('has no value of a figure whose store is away', () => {
    const history = new History();
    history.add(SAMPLE);
    const away = { ...SAMPLE, atMs: 2_000, appended: null, drained: null, lagMs: null };
    expect(history.add(away)).toMatchObject({ appended: null, drained: null, lagMs: null, pending: 0 });
    expect(history.add({ ...SAMPLE, atMs: 4_000, appended: 5 })).toMatchObject({ appended: null });
  });
});

describe('a quantile of a histogram', () => {
  it('lies between the bounds of its bucket', () => {
    expect(readQuantile(0.5, { bounds: BOUNDS, counts: [10, 10, 10, 10] })).toBe(5);
    expect(readQuantile(0.95, { bounds: BOUNDS, counts: [0, 10, 20, 20] })).toBeCloseTo(910);
  });

  it('is the last bound for values above it, and null without values', () => {
    expect(readQuantile(0.99, { bounds: BOUNDS, counts: [0, 0, 0, 5] })).toBe(1_000);
    expect(readQuantile(0.5, { bounds: BOUNDS, counts: [0, 0, 0, 0] })).toBeNull();
  });
});

describe('the history', () => {
  it('keeps half an hour', () => {
    const history = new History();
    for (let i = 0; i <= 1_000; i++) history.add({ ...SAMPLE, atMs: i * 2_000, appended: i });
    expect(history.points).toHaveLength(900);
    expect(history.points.at(-1)?.atMs).toBe(2_000_000);
  });

  it('has a gap where the page was hidden, and columns as uPlot draws them', () => {
    const history = new History();
    history.add(SAMPLE);
    history.add({ ...SAMPLE, atMs: 2_000, appended: 4 });
    history.add({ ...SAMPLE, atMs: 62_000, appended: 124 });
    expect(history.columns(['appended', 'pending'])).toEqual([
      [2, 2.001, 62],
      [2, null, 2],
      [0, null, 0],
    ]);
  });
});
