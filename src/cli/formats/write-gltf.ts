import { Document, type GLTF, type Node, NodeIO } from '@gltf-transform/core';
import type { WorldObject, WorldState } from '../../world/types.ts';

/** What a world as glTF is, and what of it glTF cannot say as such. */
export interface WrittenGltf {
  json: GLTF.IGLTF;
  /** Objects whose parent is not in the world, or is below them: roots here, their `parentId` in their extras. */
  detached: string[];
}

/**
 * Every object becomes a node with its name, parent and transform. `extras.worldkeep` has what glTF has no place for: of a
 * node `id`, `modelId`, `properties`, and `parentId` where no node is that; of the file the space, models and media.
 * readGltf makes the same objects of it. Avatars and messages are no part of a scene and stay out.
 */
export async function writeGltf(state: WorldState): Promise<WrittenGltf> {
  const { objects, space, models, media, seq } = state;
  const document = new Document();
  const scene = document.createScene(space.name);
  const nodes = new Map(objects.map((object) => [object.id, document.createNode()]));
  const detached = findDetached(objects);
  for (const { id, parentId } of objects) {
    const parent = parentId === null || detached.has(id) ? undefined : nodes.get(parentId);
    (parent ?? scene).addChild(nodes.get(id) as Node);
  }
  const { json } = await new NodeIO().writeJSON(document);
  // Written here: the library leaves out what is nearly its default, and the names it is given as empty.
  for (const [index, object] of objects.entries())
    Object.assign(json.nodes?.[index] ?? {}, describeNode(object, detached.has(object.id)));
  json.asset.generator = 'worldkeep';
  const { id, name, description, settings, bounds } = space;
  json.extras = { worldkeep: { space: { id, name, description, settings, bounds }, seq, models, media } };
  return { json, detached: [...detached] };
}

function describeNode(object: WorldObject, isDetached: boolean): GLTF.INode {
  const { id, name, modelId, parentId, position, rotation, scale, properties } = object;
  return {
    ...(name !== null && { name }),
    translation: [position.x, position.y, position.z],
    rotation: [rotation.x, rotation.y, rotation.z, rotation.w],
    scale: [scale.x, scale.y, scale.z],
    extras: { worldkeep: { id, modelId, properties, ...(isDetached && { parentId }) } },
  };
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
