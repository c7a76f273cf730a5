import { type GLTF, type Node, NodeIO } from '@gltf-transform/core';
import type { JsonObject, JsonValue, ObjectInput } from '../../world/types.ts';
import { isGlb, sliceGlbJson } from './glb.ts';
import { type CheckedGltf, checkGltf, lightOf, listLights } from './gltf-check.ts';
import { isMembers, type Members, parseJsonBytes } from './json-text.ts';
import { readKept, readKeptAssets } from './kept.ts';
import { decomposeMatrix, type Transform } from './math.ts';
import { toIdPrefix } from './object-id.ts';
import { countNormalisedRotations } from './rotations.ts';
import { locateInObjects, type Scene, SceneError, type SceneSource, toWorld } from './scene.ts';

/** @returns the JSON of a glTF file, binary or text. @throws SceneError */
export function parseGltfBytes(bytes: Uint8Array, file: string): unknown {
  return parseJsonBytes(isGlb(bytes) ? sliceGlbJson(bytes, file) : bytes, file);
}

/**
 * Every node becomes an object, in whatever scene or none: id `<file's name>:<node's index>`, its name, parent and
 * transform; one that was an object here is that object again. `properties.gltf` says what the node shows (mesh, camera, skin, light by index and name), `properties.extras`
 * are its extras. Geometry, images and animations stay in the file: they are not read, so they need not be there.
 */
export async function readGltf(
  json: unknown,
  { file, stem }: SceneSource,
  format: 'glb' | 'gltf',
): Promise<Scene> {
  const gltf = checkGltf(json, file);
  const prefix = toIdPrefix(stem);
  const read = await readNodes(gltf.nodes);
  const memberships = readMemberships(gltf);
  const kept = readKept(gltf.nodes);
  const idOf = (index: number) => kept[index]?.id ?? `${prefix}:${index}`;
  const objects = gltf.nodes.map((node, index): ObjectInput => {
    const { position, rotation, scale, matrix } = readTransform(node, read[index]);
    if (position === null) throw new SceneError(file, gltf.labels[index] ?? null, matrix);
    const parent = gltf.parents[index] ?? null;
    const own = kept[index];
    return {
      id: idOf(index),
      name: typeof node.name === 'string' ? node.name : null,
      modelId: own?.modelId ?? null,
      parentId: parent === null ? (own?.parentId ?? null) : idOf(parent),
      position,
      rotation,
      scale,
      properties: own?.properties ?? {
        gltf: describeNode(gltf.json, node, index, matrix, memberships?.get(index)),
        ...(node.extras !== undefined && { extras: node.extras as JsonValue }),
      },
    };
  });
  return {
    format,
    world: { ...toWorld(objects), ...readKeptAssets(gltf.json) },
    objects: objects.length,
    normalisedRotations: countNormalisedRotations(objects),
    // The name of the scene inside says little: exporters call nearly every one `Scene`.
    space: { name: stem },
    locate: locateInObjects(gltf.labels),
  };
}

/** The library reads the node graph alone, so missing buffers, images and extensions that it does not know are no matter. */
async function readNodes(nodes: readonly Members[]): Promise<Node[]> {
  const defs = nodes.map(({ name, translation, rotation, scale }) => {
    const def = { name, translation, rotation, scale };
    return Object.fromEntries(Object.entries(def).filter(([, value]) => value !== undefined));
  }) as GLTF.INode[];
  const json: GLTF.IGLTF = { asset: { version: '2.0' }, nodes: defs };
  const document = await new NodeIO().readJSON({ json, resources: {} });
  return document.getRoot().listNodes();
}

type ReadTransform =
  | (Transform & { matrix: number[] | undefined })
  | { position: null; rotation: null; scale: null; matrix: string };

/** @returns the transform, and the matrix where no transform is exactly that; a sentence where there is none at all. */
function readTransform(node: Members, read: Node | undefined): ReadTransform {
  const matrix = node.matrix as number[] | undefined;
  if (matrix !== undefined) {
    const taken = decomposeMatrix(matrix);
    if (taken === null)
      return { position: null, rotation: null, scale: null, matrix: 'matrix has numbers too great to use' };
    const { exact, ...transform } = taken;
    return { ...transform, matrix: exact ? undefined : matrix };
  }
  const [x, y, z] = read?.getTranslation() ?? [0, 0, 0];
  const [rx, ry, rz, rw] = read?.getRotation() ?? [0, 0, 0, 1];
  const [sx, sy, sz] = read?.getScale() ?? [1, 1, 1];
  return {
    position: { x, y, z },
    rotation: { x: rx, y: ry, z: rz, w: rw },
    scale: { x: sx, y: sy, z: sz },
    matrix: undefined,
  };
}

function describeNode(
  json: Members,
  node: Members,
  index: number,
  matrix: number[] | undefined,
  scenes: number[] | undefined,
): JsonObject {
  const refer = (list: unknown, at: unknown): JsonObject => {
    const item: unknown = Array.isArray(list) ? list[at as number] : undefined;
    const { name, type } = isMembers(item) ? item : {};
    return {
      index: at as number,
      ...(typeof name === 'string' && { name }),
      ...(typeof type === 'string' && { type }),
    };
  };
  const light = lightOf(node);
  return {
    node: index,
    ...(node.mesh !== undefined && { mesh: refer(json.meshes, node.mesh) }),
    ...(node.camera !== undefined && { camera: refer(json.cameras, node.camera) }),
    ...(node.skin !== undefined && { skin: refer(json.skins, node.skin) }),
    ...(light !== undefined && { light: refer(listLights(json), light) }),
    ...(node.weights !== undefined && { weights: node.weights as JsonValue }),
    ...(node.extensions !== undefined && { extensions: node.extensions as JsonValue }),
    ...(matrix !== undefined && { matrix }),
    ...(scenes !== undefined && { scenes }),
  };
}

/** Which scenes each root is in, where the file has not just one scene that holds them all. */
function readMemberships({ json, parents }: CheckedGltf): Map<number, number[]> | null {
  const scenes = (json.scenes ?? []) as { nodes?: number[] }[];
  const memberships = new Map<number, number[]>();
  for (const [index, parent] of parents.entries()) if (parent === null) memberships.set(index, []);
  for (const [index, { nodes = [] }] of scenes.entries())
    for (const node of nodes) memberships.get(node)?.push(index);
  const plain =
    scenes.length <= 1 && [...memberships.values()].every((list) => list.length === scenes.length);
  return plain ? null : memberships;
}
