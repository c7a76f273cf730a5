import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readBackupRotation, readBackupVector } from './backup-transform.ts';
import { AppError } from './errors.ts';
import { EULER_ORDERS, type EulerOrder, eulerToQuaternion } from './quaternion.ts';
import type { JsonValue } from './types.ts';

const AT = ['objects', 'door', 'rotation'];

function refusalOf(run: () => unknown): { path: string; message: string } | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof AppError) return error.errors[0];
    throw error;
  }
  return undefined;
}

type Q = [number, number, number, number];

/** The Hamilton product, which no code under test uses. */
function times([ax, ay, az, aw]: Q, [bx, by, bz, bw]: Q): Q {
  return [
    aw * bx + ax * bw + ay * bz - az * by,
    aw * by - ax * bz + ay * bw + az * bx,
    aw * bz + ax * by - ay * bx + az * bw,
    aw * bw - ax * bx - ay * by - az * bz,
  ];
}

function turnAbout(axis: string, angle: number): Q {
  const half: Q = [0, 0, 0, Math.cos(angle / 2)];
  half['XYZ'.indexOf(axis)] = Math.sin(angle / 2);
  return half;
}

describe('eulerToQuaternion', () => {
  it.each(EULER_ORDERS)('turns about the axes of the body one after another in the order %s', (order) => {
    const angle = fc.double({ min: -10, max: 10, noNaN: true });
    fc.assert(
      fc.property(angle, angle, angle, (x, y, z) => {
        const angles: Record<string, number> = { X: x, Y: y, Z: z };
        const [first, second, third] = [...order].map((axis) => turnAbout(axis, angles[axis] ?? 0)) as [
          Q,
          Q,
          Q,
        ];
        const wanted = times(times(first, second), third);
        const got = Object.values(eulerToQuaternion({ x, y, z }, order));
        for (const [i, part] of got.entries()) expect(Math.abs(part - (wanted[i] ?? 0))).toBeLessThan(1e-12);
      }),
      { numRuns: 30 },
    );
  });
});

describe('a rotation of a backup', () => {
  const angles = { x: 0.5, y: 1, z: 0.25 };
  const turned = (order?: EulerOrder) => eulerToQuaternion(angles, order);

  it.each<[string, JsonValue, unknown]>([
    ['a quaternion', { x: 0, y: 1, z: 0, w: 0 }, { x: 0, y: 1, z: 0, w: 0 }],
    ['Euler angles', angles, turned()],
    ['Euler angles with an order', { ...angles, order: 'YXZ' }, turned('YXZ')],
    [
      'the members of a three.js Euler',
      { isEuler: true, _x: 0.5, _y: 1, _z: 0.25, _order: 'ZYX' },
      turned('ZYX'),
    ],
    [
      'the members of a three.js Quaternion',
      { isQuaternion: true, _x: 0, _y: 0, _z: 1, _w: 0 },
      { x: 0, y: 0, z: 1, w: 0 },
    ],
    ['the list of a three.js Quaternion', [0, 0, 0, 1], { x: 0, y: 0, z: 0, w: 1 }],
    ['the list of a three.js Euler', [0.5, 1, 0.25, 'XZY'], turned('XZY')],
    ['three angles in a list', [0.5, 1, 0.25], turned()],
  ])('is read from %s', (_, value, wanted) => {
    expect(readBackupRotation(value, AT)).toEqual(wanted);
  });

  it.each<[string, JsonValue, string, string]>([
    [
      'an unknown order',
      { ...angles, order: 'XYX' },
      '/order',
      'must be one of XYZ, YXZ, ZXY, ZYX, YZX, XZY',
    ],
    ['an order in lower case', [0, 0, 0, 'xyz'], '/order', 'must be one of XYZ'],
    ['an unknown member', { ...angles, unit: 'deg' }, '', 'has an unknown field "unit"'],
    ['a quaternion with an order', { ...angles, w: 1, order: 'XYZ' }, '', 'has an unknown field "w"'],
    [
      'two angles',
      [1, 2],
      '',
      'must be a quaternion {x, y, z, w} or Euler angles {x, y, z, order} in radians',
    ],
    ['an angle missing', { x: 1, y: 2 }, '', 'must be a quaternion'],
    ['text', 'north', '', 'must be a quaternion'],
    ['null', null, '', 'must be a quaternion'],
  ])('is refused as %s', (_, value, path, message) => {
    const refusal = refusalOf(() => readBackupRotation(value, AT));
    expect(refusal?.path).toBe(`/objects/door/rotation${path}`);
    expect(refusal?.message).toContain(message);
  });
});

describe('a position of a backup', () => {
  it.each<[string, JsonValue]>([
    ['members', { x: 1, y: 2, z: 3 }],
    ['a list', [1, 2, 3]],
    ['a three.js Vector3', { isVector3: true, x: 1, y: 2, z: 3 }],
  ])('is read from %s', (_, value) => {
    expect(readBackupVector(value, AT)).toEqual({ x: 1, y: 2, z: 3 });
  });

  it('is refused as a list of anything other than 3 numbers', () => {
    for (const list of [
      [1, 2],
      [1, 2, 3, 4],
      [1, 2, '3'],
    ])
      expect(refusalOf(() => readBackupVector(list, AT))?.message).toBe(
        'must be {x, y, z} or a list of 3 numbers',
      );
  });
});
