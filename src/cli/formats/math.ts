import { MathUtils, type mat4, type vec3, type vec4 } from '@gltf-transform/core';
import type { Quaternion, Vector3 } from '../../world/types.ts';

/** Greatest difference, relative to the matrix's greatest number, at which a transform still counts as the matrix's own. */
const SAME_MATRIX_TOLERANCE = 1e-6;
/** Below this, relative to the lengths of the columns, a determinant is that of a flat matrix. */
const FLAT_TOLERANCE = 1e-12;

export interface Transform {
  position: Vector3;
  rotation: Quaternion;
  scale: Vector3;
}

/**
 * Takes an affine column-major 4×4 matrix apart. A flat matrix (a scale of 0) gets axes that complete a rotation.
 * @returns the transform, and `exact: false` where no transform is that matrix (it shears); null where its numbers are too
 * great to take apart.
 */
export function decomposeMatrix(matrix: readonly number[]): (Transform & { exact: boolean }) | null {
  const m = [...matrix] as mat4;
  const columns = [m.slice(0, 3), m.slice(4, 7), m.slice(8, 11)] as [vec3, vec3, vec3];
  const lengths = columns.map((column) => Math.hypot(...column)) as vec3;
  const volume = dot(cross(columns[0], columns[1]), columns[2]);
  const flat = !(Math.abs(volume) > FLAT_TOLERANCE * lengths[0] * lengths[1] * lengths[2]);

  const translation: vec3 = [0, 0, 0];
  const rotation: vec4 = [0, 0, 0, 1];
  const scale: vec3 = [1, 1, 1];
  if (flat) {
    const [x, y, z] = completeAxes(columns, lengths);
    MathUtils.decompose([...x, 0, ...y, 0, ...z, 0, ...m.slice(12)] as mat4, translation, rotation, scale);
    for (const i of [0, 1, 2] as const) scale[i] = lengths[i];
  } else MathUtils.decompose(m, translation, rotation, scale);

  const length = Math.hypot(...rotation);
  const unit = rotation.map((part) => part / length) as vec4;
  if (![...translation, ...unit, ...scale].every(Number.isFinite)) return null;
  const composed = MathUtils.compose(translation, unit, scale, new Array(16).fill(0) as mat4);
  const greatest = Math.max(...m.slice(0, 12).map(Math.abs));
  const exact = composed.every(
    (value, i) => i >= 12 || Math.abs(value - (m[i] ?? 0)) <= SAME_MATRIX_TOLERANCE * greatest,
  );
  return {
    position: toVector(translation),
    rotation: { x: unit[0], y: unit[1], z: unit[2], w: unit[3] },
    scale: toVector(scale),
    exact,
  };
}

/** Three right-handed unit axes at right angles that keep the directions of the columns as far as they have one. */
function completeAxes(columns: readonly vec3[], lengths: readonly number[]): [vec3, vec3, vec3] {
  const axes: (vec3 | null)[] = [null, null, null];
  for (const i of [0, 1, 2] as const) {
    const length = lengths[i] ?? 0;
    if (length === 0) continue;
    let axis = times(columns[i] ?? [0, 0, 0], 1 / length);
    for (const other of axes) if (other !== null) axis = minus(axis, times(other, dot(axis, other)));
    const rest = Math.hypot(...axis);
    if (rest > 1e-6) axes[i] = times(axis, 1 / rest);
  }
  // At most one pass a missing axis: the cross product of the two others where both are there, else any at a right angle.
  for (const i of [0, 1, 2]) {
    if (axes[i]) continue;
    const [next, last] = [axes[(i + 1) % 3], axes[(i + 2) % 3]];
    if (next && last) axes[i] = cross(next, last);
    else axes[i] = standOn(next ?? last ?? null, i);
  }
  return axes as [vec3, vec3, vec3];
}

/** A unit axis at a right angle to `other`, as near as can be to the i-th axis of the world. */
function standOn(other: vec3 | null, i: number): vec3 {
  for (const candidate of [i, (i + 1) % 3, (i + 2) % 3]) {
    const axis = [0, 0, 0].map((_, k) => (k === candidate ? 1 : 0)) as vec3;
    if (other === null) return axis;
    const upright = minus(axis, times(other, dot(axis, other)));
    const length = Math.hypot(...upright);
    if (length > 0.5) return times(upright, 1 / length);
  }
  return [1, 0, 0];
}

function dot(a: vec3, b: vec3): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
function cross(a: vec3, b: vec3): vec3 {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}
function times(a: vec3, factor: number): vec3 {
  return [a[0] * factor, a[1] * factor, a[2] * factor];
}
function minus(a: vec3, b: vec3): vec3 {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}
function toVector([x, y, z]: vec3): Vector3 {
  return { x, y, z };
}
