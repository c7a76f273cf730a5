import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundRegion, checkRegion, isInRegion } from './region.ts';

const coordinate = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: -200, max: 200 }),
  fc.constantFrom(0, 32, -32, 5e-324, -5e-324, 1e308, -1e308, Number.MAX_VALUE, -Number.MAX_VALUE),
);
const vector = fc.record({ x: coordinate, y: coordinate, z: coordinate });
const radius = coordinate.map(Math.abs);

describe('a region', () => {
  it('is within its box', () => {
    fc.assert(
      fc.property(vector, radius, vector, (near, radius, position) => {
        const region = { near, radius };
        const { min, max } = boundRegion(region);
        for (const axis of ['x', 'y', 'z'] as const) {
          expect(Number.isFinite(min[axis]) && Number.isFinite(max[axis])).toBe(true);
          if (!isInRegion(region, position)) continue;
          expect(min[axis] <= position[axis] && position[axis] <= max[axis]).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('includes its border', () => {
    const sphere = { near: { x: 1, y: 2, z: 3 }, radius: 5 };
    expect(isInRegion(sphere, { x: 4, y: 6, z: 3 })).toBe(true);
    expect(isInRegion(sphere, { x: 4, y: 6.000001, z: 3 })).toBe(false);
    expect(isInRegion({ ...sphere, radius: 0 }, sphere.near)).toBe(true);
    const box = { min: { x: 0, y: 0, z: 0 }, max: { x: 1, y: 0, z: 0 } };
    expect(isInRegion(box, { x: 1, y: 0, z: 0 })).toBe(true);
    expect(isInRegion(box, { x: 1, y: 0, z: 5e-324 })).toBe(false);
  });

  it.each([
    [{ near: { x: 0, y: 0, z: 0 }, radius: -1 }, '/radius'],
    [{ near: { x: 0, y: 0 }, radius: 1 }, '/near/z'],
    [{ radius: 1 }, '/near'],
    [{ min: { x: 2, y: 0, z: 0 }, max: { x: 1, y: 0, z: 0 } }, '/min/x'],
    [{ min: { x: 2, y: 0, z: 0 } }, '/max'],
    [{ min: { x: 0, y: 0, z: 0 }, max: { x: Number.POSITIVE_INFINITY, y: 0, z: 0 } }, '/max/x'],
  ])('is refused as %j', (value, path) => {
    expect(() => checkRegion(value)).toThrowError(
      expect.objectContaining({
        code: 'validation_failed',
        errors: expect.arrayContaining([expect.objectContaining({ path })]),
      }),
    );
  });
});
