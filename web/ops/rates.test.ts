import { describe, expect, it } from 'vitest';
import { History, readQuantile, type Sample } from './rates.ts';

const SAMPLE: Sample = {
  atMs: 0,
  appended: 0,
  drained: 0,
  lagMs: 0,
  pending: 0,
  streams: 0,
  deployment: null,
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
      p50: null,
      p95: null,
      p99: null,
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
    const before = { hits: 1_000, misses: 0, latency: { bounds: BOUNDS, counts: [50, 50, 50, 50] } };
    const now = { hits: 1_003, misses: 1, latency: { bounds: BOUNDS, counts: [50, 150, 150, 150] } };
    history.add({ ...SAMPLE, deployment: before });
    const point = history.add({ ...SAMPLE, atMs: 1_000, deployment: now });
    expect(point?.hitRate).toBe(0.75);
    expect(point?.p50).toBeCloseTo(55);
    expect(point?.p99).toBeCloseTo(99.1);
    expect(history.add({ ...SAMPLE, atMs: 2_000, deployment: now })).toMatchObject({
      hitRate: null,
      p50: null,
    });
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
