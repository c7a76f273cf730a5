import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eulerToQuaternion, keepRotation } from './quaternion.ts';
import type { Quaternion } from './types.ts';

const angle = fc.double({ min: -7, max: 7, noNaN: true });

/** The product of two quaternions: one rotation after the other. */
function multiply(a: Quaternion, b: Quaternion): Quaternion {
  return {
    x: a.w * b.x + a.x * b.w + a.y * b.z - a.z * b.y,
    y: a.w * b.y - a.x * b.z + a.y * b.w + a.z * b.x,
    z: a.w * b.z + a.x * b.y - a.y * b.x + a.z * b.w,
    w: a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z,
  };
}

describe('eulerToQuaternion', () => {
  it('is the turn about X, then the turned Y, then the turned Z', () => {
    fc.assert(
      fc.property(angle, angle, angle, (x, y, z) => {
        const aboutX = { x: Math.sin(x / 2), y: 0, z: 0, w: Math.cos(x / 2) };
        const aboutY = { x: 0, y: Math.sin(y / 2), z: 0, w: Math.cos(y / 2) };
        const aboutZ = { x: 0, y: 0, z: Math.sin(z / 2), w: Math.cos(z / 2) };
        const expected = multiply(multiply(aboutX, aboutY), aboutZ);
        const actual = eulerToQuaternion({ x, y, z });
        for (const part of ['x', 'y', 'z', 'w'] as const)
          expect(Math.abs(actual[part] - expected[part])).toBeLessThan(1e-12);
      }),
    );
  });
});

describe('keepRotation', () => {
  const part = fc.double({ noNaN: true, noDefaultInfinity: true });

  it('gives length 1 to every rotation with a length, and does not change a length near 1', () => {
    fc.assert(
      fc.property(part, part, part, part, (x, y, z, w) => {
        const given = { x, y, z, w };
        const kept = keepRotation(given);
        if (x === 0 && y === 0 && z === 0 && w === 0) return expect(kept).toBeNull();
        expect(kept).not.toBeNull();
        if (kept === null) return;
        expect(Math.abs(Math.hypot(kept.x, kept.y, kept.z, kept.w) - 1)).toBeLessThanOrEqual(1e-4);
        if (Math.abs(Math.hypot(x, y, z, w) - 1) <= 1e-4) expect(kept).toBe(given);
      }),
      { numRuns: 1_000 },
    );
  });

  it('normalises the smallest and the greatest rotations', () => {
    expect(keepRotation({ x: 5e-324, y: 0, z: 0, w: 0 })).toEqual({ x: 1, y: 0, z: 0, w: 0 });
    expect(keepRotation({ x: 0, y: 0, z: -1.7e308, w: 0 })).toEqual({ x: 0, y: 0, z: -1, w: 0 });
  });
});
