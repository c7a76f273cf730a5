import * as z from 'zod';
import { check, vectorSchema } from './schemas.ts';
import type { Bounds, Vector3 } from './types.ts';

type Axis = 'x' | 'y' | 'z';
const AXES: readonly Axis[] = ['x', 'y', 'z'];

/** A part of a world: the points within `radius` metres of a point, or in a box including its faces. */
export type Region = { near: Vector3; radius: number } | Bounds;

const sphereSchema = z.strictObject({
  near: vectorSchema,
  radius: z.number().min(0, 'must be 0 or more'),
});
const boxSchema = z
  .strictObject({ min: vectorSchema, max: vectorSchema })
  .superRefine(({ min, max }, context) => {
    for (const axis of AXES)
      if (min[axis] > max[axis])
        context.addIssue({
          code: 'custom',
          path: ['min', axis],
          message: `must not be greater than max on the ${axis} axis`,
        });
  });

/** @throws validation_failed with the path of the error: `/near/x`, `/radius`, `/min/y`, … */
export function checkRegion(value: unknown): Region {
  const isSphere = typeof value === 'object' && value !== null && ('near' in value || 'radius' in value);
  return isSphere ? check(sphereSchema, value) : check(boxSchema, value);
}

/** Whether a position is in a region. A distance beyond the range of a double is outside every sphere. */
export function isInRegion(region: Region, position: Vector3): boolean {
  if ('near' in region) {
    const { near, radius } = region;
    return Math.hypot(position.x - near.x, position.y - near.y, position.z - near.z) <= radius;
  }
  const { min, max } = region;
  return AXES.every((axis) => min[axis] <= position[axis] && position[axis] <= max[axis]);
}

/** A finite box around a region. Every position in the region is in the box. */
export function boundRegion(region: Region): Bounds {
  if (!('near' in region)) return region;
  const { near, radius } = region;
  // Adds more than the rounding error of the sum. Otherwise a point at exactly the radius could be outside.
  const reach = (axis: Axis, sign: 1 | -1) =>
    clamp(
      near[axis] + sign * (radius + (Math.abs(near[axis]) + radius) * Number.EPSILON),
      -Number.MAX_VALUE,
      Number.MAX_VALUE,
    );
  return {
    min: { x: reach('x', -1), y: reach('y', -1), z: reach('z', -1) },
    max: { x: reach('x', 1), y: reach('y', 1), z: reach('z', 1) },
  };
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}
