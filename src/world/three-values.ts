import { AppError } from './errors.ts';
import { EULER_ORDERS, eulerToQuaternion, isEulerOrder } from './quaternion.ts';
import type { Quaternion, Vector3 } from './types.ts';

type Members = Record<string, unknown>;

/**
 * Reads positions, rotations and scales as three.js has them: `Vector3`, `Quaternion` and `Euler`, their JSON, and the
 * arrays of `toArray()`. It looks at the input itself, and at each item of its `ops`, `objects` and `users`.
 * @returns the input with plain vectors and quaternions; the strict check that follows decides on everything else
 * @throws validation_failed for an Euler angle that is not a number, or an unknown order of axes
 */
export function readThreeValues(input: unknown): unknown {
  if (!isMembers(input)) return input;
  const read = readPose(input, '');
  for (const list of ['ops', 'objects', 'users'] as const)
    if (isMembers(input[list])) read[list] = readItems(input[list], `/${list}`);
  return read;
}

/** A list, or an object with ids as keys, as in the backup of an in-memory server. */
function readItems(items: Members | unknown[], at: string): unknown {
  const readItem = (item: unknown, key: string | number) =>
    isMembers(item) ? readPose(item, `${at}/${key}`) : item;
  if (Array.isArray(items)) return items.map(readItem);
  return Object.fromEntries(Object.entries(items).map(([key, item]) => [key, readItem(item, key)]));
}

function readPose(input: Members, at: string): Members {
  const read = { ...input };
  for (const name of ['position', 'scale'] as const)
    if (isMembers(input[name])) read[name] = readVector(input[name]);
  if (isMembers(input.rotation)) read.rotation = readRotation(input.rotation, `${at}/rotation`);
  return read;
}

function readVector(value: Members | unknown[]): unknown {
  if (Array.isArray(value)) {
    const [x, y, z] = value;
    return value.length === 3 ? { x, y, z } : value;
  }
  return isPlain(value) && value.isVector3 !== true ? value : pick(value, ['x', 'y', 'z']);
}

function readRotation(value: Members | unknown[], at: string): unknown {
  if (Array.isArray(value)) {
    const [x, y, z, last] = value;
    // Euler.toArray() ends with its order, and Quaternion.toArray() with w.
    if (value.length === 4 && typeof last !== 'string') return { x, y, z, w: last };
    return value.length === 3 || value.length === 4 ? readEuler({ x, y, z }, last ?? 'XYZ', at) : value;
  }
  const order = value.order ?? value._order;
  const isJson = isPlain(value);
  if (isJson && !Object.keys(value).every((name) => THREE_MEMBERS.has(name))) return value;
  if (value.isEuler === true || (order !== undefined && value.w === undefined)) {
    const angles = value._x === undefined ? value : { x: value._x, y: value._y, z: value._z };
    return readEuler(angles, order ?? 'XYZ', at);
  }
  if (isJson && value._w !== undefined) return { x: value._x, y: value._y, z: value._z, w: value._w };
  return isJson && value.isQuaternion !== true ? value : pick(value, ['x', 'y', 'z', 'w']);
}

/**
 * The members of a three.js rotation as JSON. A value with any other member is not a rotation: the strict check names
 * that member.
 */
const THREE_MEMBERS = new Set([
  'isEuler',
  'isQuaternion',
  'x',
  'y',
  'z',
  'w',
  '_x',
  '_y',
  '_z',
  '_w',
  'order',
  '_order',
]);

function readEuler(angles: Members, order: unknown, at: string): Quaternion {
  if (!isEulerOrder(order)) throw invalid(`${at}/order`, `must be one of ${EULER_ORDERS.join(', ')}`);
  const [x, y, z] = (['x', 'y', 'z'] as const).map((axis) => {
    const angle = angles[axis];
    if (typeof angle === 'number' && Number.isFinite(angle)) return angle;
    throw invalid(`${at}/${axis}`, 'must be an angle in radians, a finite number');
  }) as [number, number, number];
  return eulerToQuaternion({ x, y, z }, order);
}

/** The existing members: own or inherited, data or getters. */
function pick(value: Members, names: readonly (keyof Vector3 | keyof Quaternion)[]): Members {
  return Object.fromEntries(
    names.filter((name) => value[name] !== undefined).map((name) => [name, value[name]]),
  );
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null;
}

/** Whether a value is not an instance of a class. An object of another realm has another `Object.prototype`. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function invalid(path: string, message: string): AppError {
  return new AppError('validation_failed', 'The input is not valid.', { errors: [{ path, message }] });
}
