import type { JsonObject, Vector3 } from '../world/types.ts';
import type { CheckedGltf, Part } from './check-gltf.ts';

const TRIANGLES = 4;
const TRIANGLE_STRIP = 5;
const TRIANGLE_FAN = 6;

/** 16 numbers in columns, as glTF has them. */
type Matrix = readonly number[];
const IDENTITY: Matrix = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];

/**
 * Counts of a model. `triangles` and `boundingBox` (metres) are of its default scene, with each instance of a mesh. The box comes from
 * the bounds of the positions, in the bind pose; instances of EXT_mesh_gpu_instancing are not in it.
 */
export function summarizeGltf(gltf: CheckedGltf): JsonObject {
  const { asset, nodes, meshes, materials, textures, animations, skins, extensionsUsed } = gltf;
  const { triangles, box } = measureScene(gltf);
  return {
    version: String(asset.version),
    generator: typeof asset.generator === 'string' ? asset.generator.slice(0, 256) : null,
    nodes: nodes.length,
    meshes: meshes.length,
    materials: materials.length,
    textures: textures.length,
    animations: animations.length,
    skins: skins.length,
    triangles,
    extensions: [...extensionsUsed],
    boundingBox: box === null ? null : { min: { ...box.min }, max: { ...box.max } },
  };
}

interface Box {
  min: Vector3;
  max: Vector3;
}

function measureScene(gltf: CheckedGltf): { triangles: number; box: Box | null } {
  const { nodes, meshes, accessors } = gltf;
  let triangles = 0;
  let box: Box | null = null;
  const open = listRoots(gltf).map((index): [number, Matrix] => [index, IDENTITY]);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [index, parent] = next;
    const node = nodes[index] as Part;
    const matrix = multiply(parent, readMatrix(node));
    for (const child of (node.children ?? []) as number[]) open.push([child, matrix]);
    const mesh = node.mesh === undefined ? undefined : meshes[node.mesh as number];
    for (const primitive of (mesh?.primitives ?? []) as Part[]) {
      triangles += countTriangles(primitive, accessors);
      box = join(box, readBounds(primitive, accessors), matrix);
    }
  }
  return { triangles, box };
}

/** The root nodes of the default scene. A file without scenes shows all nodes without a parent. */
function listRoots({ json, scenes, nodes }: CheckedGltf): number[] {
  const scene = scenes[Number(json.scene ?? 0)];
  if (scene !== undefined) return (scene.nodes ?? []) as number[];
  const children = new Set(nodes.flatMap((node) => (node.children ?? []) as number[]));
  return [...nodes.keys()].filter((index) => !children.has(index));
}

function countTriangles({ mode = TRIANGLES, indices, attributes }: Part, accessors: readonly Part[]): number {
  const accessor = accessors[Number(indices ?? (attributes as Part).POSITION ?? -1)];
  const count = Number(accessor?.count ?? 0);
  if (mode === TRIANGLES) return Math.floor(count / 3);
  return mode === TRIANGLE_STRIP || mode === TRIANGLE_FAN ? Math.max(0, count - 2) : 0;
}

function readBounds(
  { attributes }: Part,
  accessors: readonly Part[],
): { min: number[]; max: number[] } | null {
  const position = accessors[Number((attributes as Part).POSITION ?? -1)];
  const { min, max } = position ?? {};
  return Array.isArray(min) && Array.isArray(max) && min.length === 3 ? { min, max } : null;
}

function join(box: Box | null, bounds: { min: number[]; max: number[] } | null, matrix: Matrix): Box | null {
  if (bounds === null) return box;
  let { min, max } = box ?? {
    min: { x: Number.POSITIVE_INFINITY, y: Number.POSITIVE_INFINITY, z: Number.POSITIVE_INFINITY },
    max: { x: Number.NEGATIVE_INFINITY, y: Number.NEGATIVE_INFINITY, z: Number.NEGATIVE_INFINITY },
  };
  for (let corner = 0; corner < 8; corner++) {
    const { x, y, z } = transform(matrix, [
      (corner & 1 ? bounds.max : bounds.min)[0] as number,
      (corner & 2 ? bounds.max : bounds.min)[1] as number,
      (corner & 4 ? bounds.max : bounds.min)[2] as number,
    ]);
    min = { x: Math.min(min.x, x), y: Math.min(min.y, y), z: Math.min(min.z, z) };
    max = { x: Math.max(max.x, x), y: Math.max(max.y, y), z: Math.max(max.z, z) };
  }
  // Finite numbers may have a product that is not.
  const isKnown = [min, max].every(({ x, y, z }) => [x, y, z].every(Number.isFinite));
  return isKnown ? { min, max } : box;
}

function readMatrix({ matrix, translation, rotation, scale }: Part): Matrix {
  if (matrix !== undefined) return matrix as Matrix;
  const [tx = 0, ty = 0, tz = 0] = (translation ?? []) as number[];
  const [x = 0, y = 0, z = 0, w = 1] = (rotation ?? []) as number[];
  const [sx = 1, sy = 1, sz = 1] = (scale ?? []) as number[];
  return [
    ...[(1 - 2 * (y * y + z * z)) * sx, 2 * (x * y + z * w) * sx, 2 * (x * z - y * w) * sx, 0],
    ...[2 * (x * y - z * w) * sy, (1 - 2 * (x * x + z * z)) * sy, 2 * (y * z + x * w) * sy, 0],
    ...[2 * (x * z + y * w) * sz, 2 * (y * z - x * w) * sz, (1 - 2 * (x * x + y * y)) * sz, 0],
    ...[tx, ty, tz, 1],
  ];
}

function multiply(a: Matrix, b: Matrix): Matrix {
  const product: number[] = [];
  for (let column = 0; column < 4; column++)
    for (let row = 0; row < 4; row++) {
      let sum = 0;
      for (let i = 0; i < 4; i++) sum += (a[4 * i + row] as number) * (b[4 * column + i] as number);
      product.push(sum);
    }
  return product;
}

function transform(m: Matrix, [x, y, z]: readonly [number, number, number]): Vector3 {
  const row = (i: number) =>
    (m[i] as number) * x + (m[4 + i] as number) * y + (m[8 + i] as number) * z + (m[12 + i] as number);
  return { x: row(0), y: row(1), z: row(2) };
}
