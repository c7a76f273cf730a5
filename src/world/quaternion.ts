import { LIMITS } from './limits.ts';
import type { Quaternion, Vector3 } from './types.ts';

/**
 * A rotation as it is kept: as sent if its length is within `rotationLengthTolerance` of 1, else normalised.
 * @returns null where it has no length, or none that a double can hold.
 */
export function keepRotation(rotation: Quaternion): Quaternion | null {
  const { x, y, z, w } = rotation;
  const length = Math.hypot(x, y, z, w);
  if (Math.abs(length - 1) <= LIMITS.rotationLengthTolerance) return rotation;
  // Scaled by the greatest first: squares of very small or very great numbers would leave the range of a double.
  const greatest = Math.max(Math.abs(x), Math.abs(y), Math.abs(z), Math.abs(w));
  if (greatest === 0 || !Number.isFinite(greatest)) return null;
  const scaled = { x: x / greatest, y: y / greatest, z: z / greatest, w: w / greatest };
  const norm = Math.sqrt(scaled.x ** 2 + scaled.y ** 2 + scaled.z ** 2 + scaled.w ** 2);
  return { x: scaled.x / norm, y: scaled.y / norm, z: scaled.z / norm, w: scaled.w / norm };
}

/** Euler angles in radians, applied in the order X, Y, Z about the body's own axes (three.js's default), as a quaternion. */
export function eulerToQuaternion({ x, y, z }: Vector3): Quaternion {
  const [c1, c2, c3] = [Math.cos(x / 2), Math.cos(y / 2), Math.cos(z / 2)];
  const [s1, s2, s3] = [Math.sin(x / 2), Math.sin(y / 2), Math.sin(z / 2)];
  return {
    x: s1 * c2 * c3 + c1 * s2 * s3,
    y: c1 * s2 * c3 - s1 * c2 * s3,
    z: c1 * c2 * s3 + s1 * s2 * c3,
    w: c1 * c2 * c3 - s1 * s2 * s3,
  };
}
