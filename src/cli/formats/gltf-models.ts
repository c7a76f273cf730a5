import type { JsonObject } from '../../world/types.ts';
import type { CheckedGltf } from './gltf-check.ts';
import { isMembers, type Members } from './json-text.ts';
import { readShapeOf } from './kept.ts';
import type { Shapes } from './scene.ts';

/** Nodes of a file that its shapes need. */
export interface Use {
  /** Nodes with a mesh. */
  shown: ReadonlySet<number>;
  /** The same, with the nodes of skins and animations. */
  named: ReadonlySet<number>;
  /** Nodes whose shape is now below them, in nodes that an export made from their model. */
  replaced: ReadonlySet<number>;
}

export function findUse({ json, nodes, parents }: CheckedGltf): Use {
  const membersOf = (list: unknown) => (Array.isArray(list) ? list.filter(isMembers) : []);
  const shown = new Set(nodes.flatMap(({ mesh }, index) => (mesh === undefined ? [] : [index])));
  const skins = membersOf(json.skins).flatMap(({ joints, skeleton }) => [joints, skeleton].flat());
  const animated = membersOf(json.animations)
    .flatMap(({ channels }) => membersOf(channels))
    .map(({ target }) => (isMembers(target) ? target.node : undefined));
  const named = [...shown, ...skins, ...animated].filter(
    (at): at is number => nodes[at as number] !== undefined,
  );
  const replaced = nodes.flatMap((node, index) => (readShapeOf(node) === null ? [] : [parents[index] ?? -1]));
  return { shown, named: new Set(named), replaced: new Set([...shown, ...replaced]) };
}

/** The file without the nodes that an export made from whole models: their objects still reference the models. */
export function withoutModelNodes({ json, nodes, parents, labels }: CheckedGltf): CheckedGltf {
  const isPart = nodes.map((node, index) => readShapeOf(node) !== null && parents[index] !== null);
  if (!isPart.includes(true)) return { json, nodes, parents, labels };
  const kept = [...nodes.keys()].filter((index) => !isPart[index]);
  const places = new Map(kept.map((index, place) => [index, place]));
  const findParent = (index: number): number | null => {
    let parent = parents[index] ?? null;
    while (parent !== null && isPart[parent]) parent = parents[parent] ?? null;
    return parent === null ? null : (places.get(parent) ?? null);
  };
  const scenes = ((json.scenes ?? []) as Members[]).map((scene) => ({
    ...scene,
    nodes: ((scene.nodes ?? []) as number[]).flatMap((index) => places.get(index) ?? []),
  }));
  return {
    json: { ...json, ...(json.scenes !== undefined && { scenes }) },
    nodes: kept.map((index) => nodes[index] ?? {}),
    parents: kept.map(findParent),
    labels: kept.map((index) => labels[index] ?? ''),
  };
}

/** Puts the id of the stored model where the objects of the file reference it. @param world as readGltf made it */
export function referToModel(world: JsonObject, { shown, named }: Shapes, modelId: string): void {
  const objects = world.objects as { modelId: string | null; properties: { gltf: JsonObject } }[];
  const [isShown, isNamed] = [new Set(shown), new Set(named)];
  for (const [index, object] of objects.entries()) {
    if (isShown.has(index)) object.modelId = modelId;
    if (isNamed.has(index)) object.properties.gltf.model = modelId;
  }
}
