import type { GLTF } from '@gltf-transform/core';
import { countOf } from '../../helpers/counts.ts';
import type { JsonObject, WorldObject } from '../../world/types.ts';
import { isMembers, type Members } from './json-text.ts';
import { type FindNode, type Model, ModelParts } from './model-parts.ts';
import type { Loss } from './scene.ts';

/** Nodes of one exported scene: each object that shows a whole model has all nodes of it. */
const NODES_MAX = 500_000;

export interface AddedShapes {
  /** Members of the file: meshes, materials and so on. */
  members: Members;
  /** Extensions of the file. */
  extensions: JsonObject;
  /** Extensions without which a viewer cannot show the models. */
  required: readonly string[];
  /** The binary chunk, in pieces. */
  binary: readonly Uint8Array[];
  leftOut: readonly Loss[];
}

/**
 * Gives the nodes of objects the shapes of their models. An object whose `properties.gltf.model` is its modelId shows one mesh of it.
 * Any other shows the whole model: its nodes follow as children, marked with `extras.worldkeep.shapeOf`.
 * @param nodes of the objects, in the same order. Nodes of whole models are appended.
 * @param models by id; an object whose model is missing has no shape
 */
export function addShapes(
  nodes: GLTF.INode[],
  objects: readonly WorldObject[],
  models: ReadonlyMap<string, Model>,
): AddedShapes {
  const parts = new ModelParts();
  const places = findPlaces(objects);
  const findNodeOf =
    (modelId: string): FindNode =>
    (node) =>
      places.get(modelId)?.get(node as number);
  const animated = new Set<string>();
  for (const [index, { id, modelId, properties }] of objects.entries()) {
    const gltf = gltfOf(properties);
    if (typeof gltf.model === 'string') animated.add(gltf.model);
    const model = models.get(modelId ?? '');
    const node = nodes[index];
    if (modelId === null || model === undefined || node === undefined) continue;
    if (gltf.model !== modelId) addWholeModel(parts, model, { id, node, nodes });
    else if (isMembers(gltf.mesh)) {
      addMesh(parts, model, node, {
        mesh: gltf.mesh.index,
        skin: isMembers(gltf.skin) ? gltf.skin.index : undefined,
        weights: gltf.weights,
        findNode: findNodeOf(modelId),
      });
    }
  }
  for (const modelId of animated) {
    const model = models.get(modelId);
    if (model !== undefined) parts.copyAnimations(model, findNodeOf(modelId));
  }
  const { members, extensions, leftOut } = parts;
  const required = [...models.values()].flatMap(({ json }) => (json.extensionsRequired ?? []) as string[]);
  return { members, extensions, required, leftOut, binary: parts.binary.pieces };
}

/** For each model, where the objects of its nodes are. */
function findPlaces(objects: readonly WorldObject[]): Map<string, Map<number, number>> {
  const places = new Map<string, Map<number, number>>();
  for (const [index, { properties }] of objects.entries()) {
    const { model, node, instance } = gltfOf(properties);
    if (typeof model !== 'string' || typeof node !== 'number' || instance !== undefined) continue;
    const ofModel = places.get(model) ?? new Map<number, number>();
    places.set(model, ofModel);
    if (!ofModel.has(node)) ofModel.set(node, index);
  }
  return places;
}

interface MeshOfNode {
  mesh: unknown;
  skin: unknown;
  weights: unknown;
  findNode: FindNode;
}

function addMesh(
  parts: ModelParts,
  model: Model,
  node: GLTF.INode,
  { mesh, skin, weights, findNode }: MeshOfNode,
): void {
  const copied = parts.copyMesh(model, mesh);
  if (copied === undefined) {
    parts.noteLeftOut('meshes that their model lacks');
    return;
  }
  node.mesh = copied;
  if (Array.isArray(weights)) node.weights = weights as number[];
  if (skin === undefined) return;
  const skinned = parts.copySkin(model, skin, findNode);
  if (skinned === undefined) parts.noteLeftOut('skins whose joints are no objects of the space');
  else node.skin = skinned;
}

/** Copies the nodes of the shown scene of a model below the node of an object. */
function addWholeModel(
  parts: ModelParts,
  model: Model,
  { id, node, nodes }: { id: string; node: GLTF.INode; nodes: GLTF.INode[] },
): void {
  const { json } = model;
  const all = (json.nodes ?? []) as GLTF.INode[];
  const scenes = (json.scenes ?? []) as GLTF.IScene[];
  const roots = scenes[Number(json.scene ?? 0)]?.nodes ?? findRoots(all);
  const copies = new Map<number, number>();
  const copyNode = (at: number): number => {
    const { name, translation, rotation, scale, matrix, extras } = all[at] ?? {};
    const copy: GLTF.INode = {
      ...(name !== undefined && { name }),
      ...(translation && { translation }),
      ...(rotation && { rotation }),
      ...(scale && { scale }),
      ...(matrix && { matrix }),
      extras: { ...(isMembers(extras) ? extras : {}), worldkeep: { shapeOf: id } },
    };
    const index = nodes.push(copy) - 1;
    copies.set(at, index);
    return index;
  };
  if (nodes.length + all.length > NODES_MAX) {
    parts.noteLeftOut(`shapes of objects after ${countOf(NODES_MAX, 'node')}`);
    return;
  }
  const copied = roots.map(copyNode);
  // A map grows while it is read, so this reaches all levels, however deep.
  for (const [at, index] of copies) {
    const { children = [] } = all[at] ?? {};
    const copy = nodes[index];
    if (copy !== undefined && children.length > 0) copy.children = children.map(copyNode);
  }
  if (copied.length > 0) node.children = [...(node.children ?? []), ...copied];
  const findNode: FindNode = (at) => copies.get(at as number);
  for (const [at, index] of copies) {
    const { mesh, skin, weights } = all[at] ?? {};
    const copy = nodes[index];
    if (mesh !== undefined && copy !== undefined)
      addMesh(parts, model, copy, { mesh, skin, weights, findNode });
  }
  parts.copyAnimations(model, findNode);
}

function findRoots(nodes: readonly GLTF.INode[]): number[] {
  const children = new Set(nodes.flatMap((node) => node.children ?? []));
  return [...nodes.keys()].filter((index) => !children.has(index));
}

function gltfOf(properties: JsonObject): Members {
  return isMembers(properties.gltf) ? properties.gltf : {};
}
