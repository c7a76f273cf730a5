import { isDeepStrictEqual } from 'node:util';
import type { GLTF } from '@gltf-transform/core';
import type { JsonObject, WorldObject, WorldState } from '../../world/types.ts';
import { addShapes } from './add-shapes.ts';
import { writeDocument } from './gltf-document.ts';
import { isEmpty, LIGHTS, type Natives, nativesOf } from './gltf-natives.ts';
import { scenesOf } from './gltf-scenes.ts';
import { isMembers } from './json-text.ts';
import { decomposeMatrix } from './math.ts';
import type { Model } from './model-parts.ts';
import type { Loss } from './scene.ts';

/** A world as glTF, and the parts that glTF cannot express. */
export interface WrittenGltf {
  json: GLTF.IGLTF;
  /** The bytes of buffer 0, in pieces; empty without shapes. */
  binary: readonly Uint8Array[];
  /** Parts of models that could not be written, by kind. */
  leftOut: readonly Loss[];
  /** Objects whose parent is not in the world, or is below them: roots here, their `parentId` in their extras. */
  detached: string[];
}

/**
 * Every object becomes a node with its name, parent and transform. It has the camera, light, extensions and extras that its properties
 * keep of a glTF file. `extras.worldkeep` has the rest. A node has `id`, `modelId`, `properties`, and `parentId` if no node is the
 * parent. The file has the space, models and media. readGltf creates the same objects from it. Avatars and messages are not part of a
 * scene.
 * @param shapes the models by id whose shapes the file has; without them it has none
 */
export function writeGltf(
  { objects, space, models, media, seq }: WorldState,
  shapes: ReadonlyMap<string, Model> = new Map(),
): WrittenGltf {
  const { asset, scene, scenes, extras, extensions, required } = writeDocument(space.settings, space.name);
  const indices = new Map(objects.map(({ id }, index) => [id, index]));
  const detached = findDetached(objects);
  const [cameras, lights] = [new Definitions(), new Definitions()];
  const natives = objects.map(({ properties }) => nativesOf(properties));
  const nodes = objects.map((object, index) =>
    writeNode(object, natives[index] as Natives, { cameras, lights, isDetached: detached.has(object.id) }),
  );
  const roots: number[][] = scenes.map(() => []);
  for (const [index, { id, parentId, properties }] of objects.entries()) {
    const parent = parentId === null || detached.has(id) ? undefined : nodes[indices.get(parentId) ?? -1];
    if (parent !== undefined) {
      parent.children ??= [];
      parent.children.push(index);
    } else {
      const gltf = isMembers(properties.gltf) ? (properties.gltf as JsonObject) : {};
      for (const at of scenesOf(gltf.scenes, { scenes: scenes.length, shown: scene })) roots[at]?.push(index);
    }
  }
  const shown = addShapes(nodes, objects, shapes);
  const fileExtensions = {
    ...extensions,
    ...shown.extensions,
    ...(lights.items.length > 0 && { [LIGHTS]: { lights: lights.items } }),
  };
  const { id, name, description, settings, bounds } = space;
  const json = {
    asset: { ...asset, version: '2.0', generator: 'worldkeep' },
    scene,
    scenes: scenes.map((each, at) => ({ ...each, ...listUnlessEmpty('nodes', roots[at] ?? []) })),
    ...listUnlessEmpty('nodes', nodes),
    ...listUnlessEmpty('cameras', cameras.items),
    ...shown.members,
    ...(!isEmpty(fileExtensions) && { extensions: fileExtensions }),
    extras: {
      ...extras,
      worldkeep: { space: { id, name, description, settings, bounds }, seq, models, media },
    },
  };
  const used = [...findExtensions(json)].toSorted();
  return {
    json: {
      ...json,
      ...listUnlessEmpty('extensionsUsed', used),
      ...listUnlessEmpty(
        'extensionsRequired',
        [...new Set([...required, ...shown.required])].filter((name) => used.includes(name)),
      ),
    } as unknown as GLTF.IGLTF,
    binary: shown.binary,
    leftOut: shown.leftOut,
    detached: [...detached],
  };
}

/** Cameras or lights of the file; equal ones are one. */
class Definitions {
  readonly items: JsonObject[] = [];
  readonly #indices = new Map<string, number>();

  add(definition: JsonObject): number {
    const text = JSON.stringify(definition);
    const index = this.#indices.get(text) ?? this.items.push(definition) - 1;
    this.#indices.set(text, index);
    return index;
  }
}

function writeNode(
  object: WorldObject,
  { camera, light, extensions, extras }: Natives,
  { cameras, lights, isDetached }: { cameras: Definitions; lights: Definitions; isDetached: boolean },
): GLTF.INode {
  const { id, name, modelId, parentId, position, rotation, scale, properties } = object;
  const nodeExtensions = { ...extensions, ...(light && { [LIGHTS]: { light: lights.add(light) } }) };
  return {
    ...(name !== null && { name }),
    ...(matrixOf(object) ?? {
      translation: [position.x, position.y, position.z],
      rotation: [rotation.x, rotation.y, rotation.z, rotation.w],
      scale: [scale.x, scale.y, scale.z],
    }),
    ...(camera && { camera: cameras.add(camera) }),
    ...(!isEmpty(nodeExtensions) && { extensions: nodeExtensions }),
    extras: { ...extras, worldkeep: { id, modelId, properties, ...(isDetached && { parentId }) } },
  };
}

/** The matrix of the file that an object came from, if no transform is exactly that and the object has not moved. */
function matrixOf({ position, rotation, scale, properties }: WorldObject): { matrix: number[] } | null {
  const matrix = isMembers(properties.gltf) ? properties.gltf.matrix : undefined;
  if (!Array.isArray(matrix) || matrix.length !== 16 || !matrix.every(Number.isFinite)) return null;
  const { exact, ...transform } = decomposeMatrix(matrix as number[]) ?? {};
  return isDeepStrictEqual(transform, { position, rotation, scale }) ? { matrix: matrix as number[] } : null;
}

/** glTF forbids empty lists. */
function listUnlessEmpty<Item>(name: string, list: readonly Item[]): Record<string, readonly Item[]> {
  return list.length === 0 ? {} : { [name]: list };
}

/** The names of all extensions in a file; what worldkeep keeps in extras is none of it. */
function findExtensions(value: unknown): Set<string> {
  if (Array.isArray(value)) return new Set(value.flatMap((item) => [...findExtensions(item)]));
  if (!isMembers(value)) return new Set();
  const { extras: _, ...members } = value;
  const own = isMembers(members.extensions) ? Object.keys(members.extensions) : [];
  return new Set([...own, ...Object.values(members).flatMap((item) => [...findExtensions(item)])]);
}

/** Objects whose parent is not there, and of each ring of parents the one where it is cut. */
function findDetached(objects: readonly WorldObject[]): Set<string> {
  const parents = new Map(objects.map(({ id, parentId }) => [id, parentId]));
  const detached = new Set<string>();
  const sound = new Set<string>();
  for (const start of parents.keys()) {
    const path = new Set<string>();
    for (let at = start; !sound.has(at); ) {
      path.add(at);
      const parent = parents.get(at) ?? null;
      if (parent === null) break;
      if (!parents.has(parent) || path.has(parent)) {
        detached.add(at);
        break;
      }
      at = parent;
    }
    for (const seen of path) sound.add(seen);
  }
  return detached;
}
