import { LIMITS } from './limits.ts';
import type { Quaternion, Vector3 } from './types.ts';

/**
 * The rotation to store: unchanged if its length is within `rotationLengthTolerance` of 1, else normalised.
 * @returns null if all its numbers are zero, or one is not finite.
 */
export function keepRotation(rotation: Quaternion): Quaternion | null {
  const { x, y, z, w } = rotation;
  const length = Math.hypot(x, y, z, w);
  if (Math.abs(length - 1) <= LIMITS.rotationLengthTolerance) return rotation;
  // Divides by the greatest number first: squares of very small or large numbers would leave the range of a double.
  const greatest = Math.max(Math.abs(x), Math.abs(y), Math.abs(z), Math.abs(w));
  if (greatest === 0 || !Number.isFinite(greatest)) return null;
  const scaled = { x: x / greatest, y: y / greatest, z: z / greatest, w: w / greatest };
  const norm = Math.sqrt(scaled.x ** 2 + scaled.y ** 2 + scaled.z ** 2 + scaled.w ** 2);
  return { x: scaled.x / norm, y: scaled.y / norm, z: scaled.z / norm, w: scaled.w / norm };
}

/**
 * For each order, the signs of the second product in x, y, z and w. Another order of the axes changes only these signs.
 */
const EULER_SIGNS = {
  XYZ: [1, -1, 1, -1],
  YXZ: [1, -1, -1, 1],
  ZXY: [-1, 1, 1, -1],
  ZYX: [-1, 1, -1, 1],
  YZX: [1, 1, -1, -1],
  XZY: [-1, -1, 1, 1],
} as const;

/** The order of the rotations about the body's own axes, as three.js names it. */
export type EulerOrder = keyof typeof EULER_SIGNS;
export const EULER_ORDERS = Object.keys(EULER_SIGNS) as EulerOrder[];

export function isEulerOrder(value: unknown): value is EulerOrder {
  return EULER_ORDERS.some((order) => order === value);
}

/** Euler angles in radians as a quaternion, bit for bit as three.js computes it. @param order XYZ is three.js's default */
export function eulerToQuaternion({ x, y, z }: Vector3, order: EulerOrder = 'XYZ'): Quaternion {
  const [c1, c2, c3] = [Math.cos(x / 2), Math.cos(y / 2), Math.cos(z / 2)];
  const [s1, s2, s3] = [Math.sin(x / 2), Math.sin(y / 2), Math.sin(z / 2)];
  const [signX, signY, signZ, signW] = EULER_SIGNS[order];
  return {
    x: s1 * c2 * c3 + signX * c1 * s2 * s3,
    y: c1 * s2 * c3 + signY * s1 * c2 * s3,
    z: c1 * c2 * s3 + signZ * s1 * s2 * c3,
    w: c1 * c2 * c3 + signW * s1 * s2 * s3,
  };
}
