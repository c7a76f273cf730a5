import { LIMITS } from '../../world/limits.ts';
import { isMembers } from './json-text.ts';

/** @param world in the form of a state. @returns how many objects have a rotation too far from length 1 to be kept as sent */
export function countNormalisedRotations(world: unknown): number {
  const objects = isMembers(world) && Array.isArray(world.objects) ? world.objects : [];
  return objects.filter((object) => {
    if (!isMembers(object) || !isMembers(object.rotation)) return false;
    const parts = ['x', 'y', 'z', 'w'].map((axis) => (object.rotation as Record<string, unknown>)[axis]);
    return Math.abs(Math.hypot(...(parts as number[])) - 1) > LIMITS.rotationLengthTolerance;
  }).length;
}
