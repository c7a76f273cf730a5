import fc from 'fast-check';
import { Euler, Object3D, Quaternion, Vector3 } from 'three';
import { describe, expect, it } from 'vitest';
import { type EulerOrder, eulerToQuaternion } from './quaternion.ts';
import { readThreeValues } from './three-values.ts';

const ORDERS: EulerOrder[] = ['XYZ', 'YXZ', 'ZXY', 'ZYX', 'YZX', 'XZY'];
const angle = fc.double({ min: -7, max: 7, noNaN: true });
const toPlain = ({ x, y, z, w }: Quaternion) => ({ x, y, z, w });
const readRotation = (rotation: unknown) => (readThreeValues({ rotation }) as { rotation: unknown }).rotation;
const HALF_TURN = { x: 0, y: 1, z: 0, w: 0 };

describe('eulerToQuaternion', () => {
  it.each(ORDERS)('gives the result of three.js, bit for bit, in the order %s', (order) => {
    fc.assert(
      fc.property(angle, angle, angle, (x, y, z) => {
        const expected = new Quaternion().setFromEuler(new Euler(x, y, z, order));
        expect(eulerToQuaternion({ x, y, z }, order)).toEqual(toPlain(expected));
      }),
    );
  });
});

describe('readThreeValues', () => {
  it("reads an Object3D's own position, quaternion and scale", () => {
    const mesh = new Object3D();
    Object.assign(mesh.position, { x: 1, y: 2, z: 3 });
    const { position, quaternion, scale } = mesh;
    expect(readThreeValues({ id: 'a', position, rotation: quaternion, scale, properties: { x: 1 } })).toEqual(
      {
        id: 'a',
        position: { x: 1, y: 2, z: 3 },
        rotation: { x: 0, y: 0, z: 0, w: 1 },
        scale: { x: 1, y: 1, z: 1 },
        properties: { x: 1 },
      },
    );
  });

  it.each(ORDERS)(
    'reads an Euler of the order %s: itself, its JSON, its array, and by its plain names',
    (order) => {
      const euler = new Euler(0.5, 1, 0.25, order);
      const expected = toPlain(new Quaternion().setFromEuler(euler));
      for (const form of [
        euler,
        JSON.parse(JSON.stringify(euler)),
        euler.toArray(),
        { x: 0.5, y: 1, z: 0.25, order },
      ])
        expect(readRotation(form)).toEqual(expected);
    },
  );

  it.each([
    ['an array', [0, 1, 0, 0]],
    ['the members that old versions wrote', { _x: 0, _y: 1, _z: 0, _w: 0 }],
    ['a clone of its own members', { isQuaternion: true, _x: 0, _y: 1, _z: 0, _w: 0 }],
    ['a plain object with its flag', { isQuaternion: true, ...HALF_TURN }],
  ])('reads a quaternion as %s', (_, form) => {
    expect(readRotation(form)).toEqual(HALF_TURN);
  });

  it('reads vectors as arrays and with their flag', () => {
    const position = { isVector3: true, x: 1, y: 2, z: 3 };
    expect(readThreeValues({ position, scale: [4, 5, 6] })).toEqual({
      position: { x: 1, y: 2, z: 3 },
      scale: { x: 4, y: 5, z: 6 },
    });
  });

  it('reads three angles without an order as three.js does: XYZ', () => {
    expect(readRotation([0.5, 1, 0.25])).toEqual(eulerToQuaternion({ x: 0.5, y: 1, z: 0.25 }, 'XYZ'));
  });

  it('reads each operation, object and avatar', () => {
    const position = new Vector3(1, 2, 3);
    const plain = { position: { x: 1, y: 2, z: 3 } };
    expect(
      readThreeValues({
        ops: [{ op: 'put', position }],
        objects: { door: { position } },
        users: [{ position }],
      }),
    ).toEqual({ ops: [{ op: 'put', ...plain }], objects: { door: plain }, users: [plain] });
  });

  it.each([
    [null],
    ['text'],
    [{ position: { x: 1 } }],
    [{ position: { x: 1, y: 2, z: 3, colour: 'red' } }],
    [{ position: [1, 2] }],
    [{ rotation: { x: 0, y: 0, z: 0, w: 1, order: 'XYZ', colour: 'red' } }],
    [{ rotation: { x: 0, y: 0, z: 0 } }],
    [{ objects: [null, 7] }],
  ])('leaves every other value to the later check: %j', (input) => {
    expect(readThreeValues(input)).toEqual(input);
  });

  it.each([
    [{ rotation: { x: 0, y: 0, z: 0, order: 'XYX' } }, '/rotation/order', 'must be one of XYZ, YXZ'],
    [{ rotation: { x: 0, y: '1', z: 0, order: 'XYZ' } }, '/rotation/y', 'must be an angle'],
    [{ rotation: new Euler(0, 0, Number.NaN) }, '/rotation/z', 'must be an angle'],
    [{ objects: { door: { rotation: [0, 0, 0, 'xyz'] } } }, '/objects/door/rotation/order', 'must be one of'],
  ])('refuses wrong Euler angles, and names their path: %j', (input, path, sentence) => {
    expect(() => readThreeValues(input)).toThrow(
      expect.objectContaining({
        code: 'validation_failed',
        errors: [{ path, message: expect.stringContaining(sentence) }],
      }),
    );
  });
});
