import { AppError } from './errors.ts';
import { EULER_ORDERS, eulerToQuaternion, isEulerOrder } from './quaternion.ts';
import { toPointer } from './schemas.ts';
import type { JsonValue } from './types.ts';

type Members = Record<string, JsonValue | undefined>;

/** Flags that three.js sets on its own objects. They add no information. */
const THREE_FLAGS = new Set(['isVector3', 'isEuler', 'isQuaternion']);
const ROTATION_FORMS =
  'must be a quaternion {x, y, z, w} or Euler angles {x, y, z, order} in radians; three.js forms are also allowed';

/**
 * Reads a position or a scale as in-memory servers keep it: `{x, y, z}`, or `[x, y, z]` as three.js writes it.
 * @returns the vector, or the value as it is for the schema to refuse. @throws validation_failed for any other list.
 */
export function readBackupVector(value: JsonValue | undefined, path: readonly string[]): unknown {
  if (Array.isArray(value)) {
    const [x, y, z] = value;
    if (value.length === 3 && value.every(isNumber)) return { x, y, z };
    throw refuse(path, 'must be {x, y, z} or a list of 3 numbers');
  }
  return isMembers(value) ? withoutFlags(value) : value;
}

/**
 * Reads a rotation of an in-memory server. It is a quaternion, or Euler angles in any of the six orders (default XYZ).
 * Members are x, y, z, or `_x`, `_y`, `_z` of three.js, or a list of three.js.
 * @throws validation_failed for any other form. It never ignores a member of a rotation.
 */
export function readBackupRotation(value: JsonValue | undefined, path: readonly string[]): unknown {
  if (value === undefined) return undefined;
  if (Array.isArray(value)) {
    const [x, y, z, last] = value;
    if (value.length === 4 && value.every(isNumber)) return { x, y, z, w: last };
    if (value.length === 3 || (value.length === 4 && typeof last === 'string'))
      return readEuler({ x, y, z, ...(last !== undefined && { order: last }) }, path);
    throw refuse(path, ROTATION_FORMS);
  }
  if (!isMembers(value)) throw refuse(path, ROTATION_FORMS);
  const members = withoutFlags(value);
  const names = Object.keys(members);
  const isThree = names.every((name) => ['_x', '_y', '_z', '_w', '_order'].includes(name));
  const plain = isThree ? Object.fromEntries(names.map((name) => [name.slice(1), members[name]])) : members;
  if (plain.w !== undefined && plain.order === undefined) return plain;
  return readEuler(plain, path);
}

function readEuler({ x, y, z, order = 'XYZ', ...others }: Members, path: readonly string[]): unknown {
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined)
    throw refuse(path, `has an unknown field "${unknown.slice(0, 60)}"; it ${ROTATION_FORMS}`);
  if (!isNumber(x) || !isNumber(y) || !isNumber(z)) throw refuse(path, ROTATION_FORMS);
  if (!isEulerOrder(order)) throw refuse([...path, 'order'], `must be one of ${EULER_ORDERS.join(', ')}`);
  return eulerToQuaternion({ x, y, z }, order);
}

function withoutFlags(members: Members): Members {
  return Object.fromEntries(
    Object.entries(members).filter(([name, value]) => !(THREE_FLAGS.has(name) && value === true)),
  );
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refuse(path: readonly string[], message: string): AppError {
  return new AppError('validation_failed', 'The input is not valid.', {
    errors: [{ path: toPointer(path), message }],
  });
}
