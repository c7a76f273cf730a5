import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ProcessBuckets } from './token-bucket.ts';

it('never gives more tokens than the bucket had and gained', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 200 }),
      (requests, steps) => {
        const buckets = new ProcessBuckets(10);
        let nowMs = 0;
        let given = 0;
        for (const step of steps) {
          nowMs += step;
          const { allowed, remaining } = buckets.take('a', { requests, windowSeconds: 60 }, nowMs);
          if (allowed) given++;
          expect(remaining).toBeLessThan(requests);
          expect(given).toBeLessThanOrEqual(requests + (nowMs * requests) / 60_000 + 1e-6);
        }
      },
    ),
  );
});

it('has a token again at the promised time, and not earlier', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 0, max: 1e12 }), (requests, start) => {
      const buckets = new ProcessBuckets(10);
      const limit = { requests, windowSeconds: 60 };
      let taken = buckets.take('a', limit, start);
      while (taken.allowed) taken = buckets.take('a', limit, start);
      expect(taken.resetAtMs - start).toBeLessThanOrEqual(Math.ceil(60_000 / requests) + 1);
      expect(buckets.take('a', limit, taken.resetAtMs + 1).allowed).toBe(true);
    }),
  );
});

it('has a maximum of buckets; later subjects share one until there is room', () => {
  const buckets = new ProcessBuckets(3);
  const limit = { requests: 2, windowSeconds: 60 };
  for (const name of ['a', 'b', 'c']) buckets.take(name, limit, 0);
  const strangers = Array.from({ length: 100 }, (_, i) => buckets.take(`s${i}`, limit, 1));
  expect(strangers.filter(({ allowed }) => allowed)).toHaveLength(2);
  expect(buckets.size).toBe(4);
  expect(buckets.take('a', limit, 2).allowed).toBe(true);
  expect(buckets.take('new', limit, 61_000).allowed).toBe(true);
  expect(buckets.size).toBeLessThanOrEqual(4);
});

it('gives no tokens if the clock goes back', () => {
  const buckets = new ProcessBuckets(3);
  const limit = { requests: 1, windowSeconds: 60 };
  expect(buckets.take('a', limit, 1_000).allowed).toBe(true);
  expect(buckets.take('a', limit, 0).allowed).toBe(false);
});

it('takes several tokens, or none if fewer are left', () => {
  const buckets = new ProcessBuckets(10);
  const limit = { requests: 5, windowSeconds: 60 };
  expect(buckets.take('a', limit, 0, 3)).toMatchObject({ allowed: true, remaining: 2 });
  expect(buckets.take('a', limit, 0, 3)).toMatchObject({ allowed: false, remaining: 2 });
  expect(buckets.take('a', limit, 0, 2)).toMatchObject({ allowed: true, remaining: 0 });
});
