import type { JsonObject, Vector3 } from '../world/types.ts';
import type { CheckedGltf, Part } from './check-gltf.ts';

/** Characters of the name of the program that wrote a file. */
const GENERATOR_LENGTH_MAX = 256;
/** Different bounds of one mesh. The bounds of a mesh with more are joined. This gives a larger box if the mesh is turned. */
const MESH_BOUNDS_MAX = 16;
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
    generator: typeof asset.generator === 'string' ? cleanText(asset.generator) : null,
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

/** The first characters of a text, as Postgres accepts them. */
function cleanText(text: string): string {
  const clean = text
    .slice(0, 2 * GENERATOR_LENGTH_MAX)
    .toWellFormed()
    .replaceAll('\0', '');
  return [...clean].slice(0, GENERATOR_LENGTH_MAX).join('');
}

interface Box {
  min: Vector3;
  max: Vector3;
}

/** As an accessor has them: three numbers each. */
interface Bounds {
  min: number[];
  max: number[];
}

function measureScene(gltf: CheckedGltf): { triangles: number; box: Box | null } {
  const { nodes } = gltf;
  // Many nodes may have the same large mesh.
  const measured = gltf.meshes.map((mesh) => measureMesh(mesh, gltf.accessors));
  let triangles = 0;
  let box: Box | null = null;
  const open = listRoots(gltf).map((index): [number, Matrix] => [index, IDENTITY]);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [index, parent] = next;
    const node = nodes[index] as Part;
    const matrix = multiply(parent, readMatrix(node));
    for (const child of (node.children ?? []) as number[]) open.push([child, matrix]);
    const mesh = node.mesh === undefined ? undefined : measured[node.mesh as number];
    triangles += mesh?.triangles ?? 0;
    for (const bounds of mesh?.bounds ?? []) box = join(box, bounds, matrix);
  }
  return { triangles, box };
}

function measureMesh(mesh: Part, accessors: readonly Part[]): { triangles: number; bounds: Bounds[] } {
  let triangles = 0;
  let bounds: Bounds[] = [];
  for (const primitive of (mesh.primitives ?? []) as Part[]) {
    triangles += countTriangles(primitive, accessors);
    const own = readBounds(primitive, accessors);
    if (own !== null) bounds.push(own);
    if (bounds.length > MESH_BOUNDS_MAX) bounds = [joinBounds(bounds)];
  }
  return { triangles, bounds };
}

function joinBounds(all: readonly Bounds[]): Bounds {
  const join = (read: (bounds: Bounds) => number[], choose: (...values: number[]) => number) =>
    [0, 1, 2].map((axis) => choose(...all.map((bounds) => read(bounds)[axis] as number)));
  return { min: join(({ min }) => min, Math.min), max: join(({ max }) => max, Math.max) };
}

/** The root nodes of the default scene, each once. A file without scenes shows all nodes without a parent. */
function listRoots({ json, scenes, nodes }: CheckedGltf): number[] {
  const scene = scenes[Number(json.scene ?? 0)];
  const children = new Set<number>();
  for (const node of nodes) for (const child of (node.children ?? []) as number[]) children.add(child);
  // A node with a parent is shown with it, even if the scene names it too.
  const shown = scene === undefined ? nodes.keys() : ((scene.nodes ?? []) as number[]);
  return [...shown].filter((index) => !children.has(index));
}

function countTriangles({ mode = TRIANGLES, indices, attributes }: Part, accessors: readonly Part[]): number {
  const accessor = accessors[Number(indices ?? (attributes as Part).POSITION ?? -1)];
  const count = Number(accessor?.count ?? 0);
  if (mode === TRIANGLES) return Math.floor(count / 3);
  return mode === TRIANGLE_STRIP || mode === TRIANGLE_FAN ? Math.max(0, count - 2) : 0;
}

function readBounds({ attributes }: Part, accessors: readonly Part[]): Bounds | null {
  const position = accessors[Number((attributes as Part).POSITION ?? -1)];
  const { min, max } = position ?? {};
  return Array.isArray(min) && Array.isArray(max) && min.length === 3 ? { min, max } : null;
}

function join(box: Box | null, bounds: Bounds, matrix: Matrix): Box | null {
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
