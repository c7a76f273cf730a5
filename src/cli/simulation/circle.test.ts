import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Circle } from './circle.ts';

it('a place on a circle says when the object was there, to a microsecond', () => {
  const lapsMs = fc.integer({ min: 2_000, max: 3_601_000 });
  fc.assert(
    fc.property(
      fc.nat(999),
      lapsMs,
      fc.double({ min: 0, max: 0.9999, noNaN: true }),
      (index, lapMs, part) => {
        const circle = new Circle(index, 1_000, lapMs);
        const elapsedMs = Math.max(0.001, part * lapMs);
        expect(Math.abs(circle.readElapsedMs(circle.placeAt(elapsedMs)) - elapsedMs)).toBeLessThan(0.001);
      },
    ),
  );
});

it('no two circles meet', () => {
  const centres = Array.from({ length: 1_000 }, (_, n) => new Circle(n, 1_000, 1_000).placeAt(250));
  expect(new Set(centres.map(({ x, z }) => `${Math.round(x)} ${Math.round(z)}`)).size).toBe(1_000);
});
