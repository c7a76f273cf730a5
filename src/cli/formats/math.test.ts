import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decomposeMatrix, type Transform } from './math.ts';

type Three = [number, number, number];

/** A vector turned by a unit quaternion, by the formula v + 2w(u×v) + 2u×(u×v), which no code under test uses. */
function turn([x, y, z]: Three, { x: a, y: b, z: c, w }: Transform['rotation']): Three {
  const [ux, uy, uz] = [b * z - c * y, c * x - a * z, a * y - b * x];
  return [
    x + 2 * (w * ux + b * uz - c * uy),
    y + 2 * (w * uy + c * ux - a * uz),
    z + 2 * (w * uz + a * uy - b * ux),
  ];
}

function toMatrix({ position, rotation, scale }: Transform): number[] {
  const column = (axis: Three, length: number) => [...turn(axis, rotation).map((part) => part * length), 0];
  return [
    ...column([1, 0, 0], scale.x),
    ...column([0, 1, 0], scale.y),
    ...column([0, 0, 1], scale.z),
    ...[position.x, position.y, position.z, 1],
  ];
}

function expectClose(actual: readonly number[], wanted: readonly number[]): void {
  const greatest = Math.max(1, ...wanted.slice(0, 12).map(Math.abs));
  expect(actual).toHaveLength(wanted.length);
  for (const [i, value] of wanted.entries())
    expect(Math.abs((actual[i] ?? Number.NaN) - value)).toBeLessThan(1e-9 * greatest);
}

const part = fc.double({ min: -1, max: 1, noNaN: true });
const rotations = fc
  .tuple(part, part, part, part)
  .filter((parts) => Math.hypot(...parts) > 0.1)
  .map(([x, y, z, w]) => {
    const length = Math.hypot(x, y, z, w);
    return { x: x / length, y: y / length, z: z / length, w: w / length };
  });
const vectors = (min: number, max: number) => {
  const axis = fc.double({ min, max, noNaN: true });
  return fc.record({ x: axis, y: axis, z: axis });
};

describe('decomposeMatrix', () => {
  it('gives a transform that is the matrix again', () => {
    const transforms = fc.record({
      position: vectors(-1e3, 1e3),
      rotation: rotations,
      scale: vectors(0.01, 100),
    });
    fc.assert(
      fc.property(transforms, (transform) => {
        const matrix = toMatrix(transform);
        const taken = decomposeMatrix(matrix);
        expect(taken?.exact).toBe(true);
        if (taken !== null) expectClose(toMatrix(taken), matrix);
      }),
    );
  });

  it('keeps mirrored matrices', () => {
    const transforms = fc.record({ position: vectors(-1, 1), rotation: rotations, scale: vectors(-3, -0.5) });
    fc.assert(
      fc.property(transforms, (transform) => {
        const matrix = toMatrix(transform);
        const taken = decomposeMatrix(matrix);
        expect(taken?.exact).toBe(true);
        if (taken !== null) expectClose(toMatrix(taken), matrix);
      }),
    );
  });

  it('takes flat matrices, whatever axes are lost', () => {
    const lost = fc.subarray(['x', 'y', 'z'] as const, { minLength: 1 });
    const transforms = fc.record({ position: vectors(-1, 1), rotation: rotations, scale: vectors(0.5, 3) });
    fc.assert(
      fc.property(transforms, lost, (transform, axes) => {
        const scale = { ...transform.scale };
        for (const axis of axes) scale[axis] = 0;
        const matrix = toMatrix({ ...transform, scale });
        const taken = decomposeMatrix(matrix);
        expect(taken?.exact).toBe(true);
        if (taken === null) return;
        const { x, y, z, w } = taken.rotation;
        expect(Math.hypot(x, y, z, w)).toBeCloseTo(1, 12);
        expectClose(toMatrix(taken), matrix);
      }),
    );
  });

  it('says that a sheared matrix is no transform, and still gives a rotation', () => {
    const taken = decomposeMatrix([1, 0, 0, 0, 0.5, 1, 0, 0, 0, 0, 1, 0, 1, 2, 3, 1]);
    expect(taken?.exact).toBe(false);
    expect(taken?.position).toEqual({ x: 1, y: 2, z: 3 });
    const { x, y, z, w } = taken?.rotation ?? { x: 0, y: 0, z: 0, w: 0 };
    expect(Math.hypot(x, y, z, w)).toBeCloseTo(1, 12);
  });

  it('says that two columns of one direction are no transform', () => {
    const taken = decomposeMatrix([1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
    expect(taken?.exact).toBe(false);
  });

  it('takes the identity without a rounding', () => {
    const identity = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
    expect(decomposeMatrix(identity)).toEqual({
      position: { x: 0, y: 0, z: 0 },
      rotation: { x: 0, y: 0, z: 0, w: 1 },
      scale: { x: 1, y: 1, z: 1 },
      exact: true,
    });
  });

  it('gives up columns whose length no double holds', () => {
    const m = 1.7e308;
    expect(decomposeMatrix([m, m, m, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1])).toBeNull();
  });
});
