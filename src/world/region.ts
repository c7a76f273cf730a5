import * as z from 'zod';
import { check, vectorSchema } from './schemas.ts';
import type { Bounds, Vector3 } from './types.ts';

type Axis = 'x' | 'y' | 'z';
const AXES: readonly Axis[] = ['x', 'y', 'z'];

/** A part of a world: what is within `radius` metres of a point, or in a box whose faces belong to it. */
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

/** @throws validation_failed naming what is wrong: `/near/x`, `/radius`, `/min/y`, … */
export function checkRegion(value: unknown): Region {
  const isSphere = typeof value === 'object' && value !== null && ('near' in value || 'radius' in value);
  return isSphere ? check(sphereSchema, value) : check(boxSchema, value);
}

/** Whether a position is in a region. Distances that no double holds are outside every sphere. */
export function isInRegion(region: Region, position: Vector3): boolean {
  if ('near' in region) {
    const { near, radius } = region;
    return Math.hypot(position.x - near.x, position.y - near.y, position.z - near.z) <= radius;
  }
  const { min, max } = region;
  return AXES.every((axis) => min[axis] <= position[axis] && position[axis] <= max[axis]);
}

/** A box around a region, finite whatever the region is, and never smaller: what is in the region is in the box. */
export function boundRegion(region: Region): Bounds {
  if (!('near' in region)) return region;
  const { near, radius } = region;
  // More than what rounding may take from the sum, or else a point at exactly the radius might fall out.
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
