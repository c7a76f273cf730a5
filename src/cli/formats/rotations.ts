import { LIMITS } from '../../world/limits.ts';
import type { Quaternion } from '../../world/types.ts';

/** How many objects have a rotation that worldkeep will normalise, its length being too far from 1 to be kept as sent. */
export function countNormalisedRotations(objects: Iterable<{ rotation?: unknown }>): number {
  let count = 0;
  for (const { rotation } of objects) {
    const { x, y, z, w } = (rotation ?? {}) as Partial<Quaternion>;
    if (typeof x !== 'number' || typeof y !== 'number' || typeof z !== 'number' || typeof w !== 'number')
      continue;
    if (Math.abs(Math.hypot(x, y, z, w) - 1) > LIMITS.rotationLengthTolerance) count++;
  }
  return count;
}
