import { lightOf, listLights } from './gltf-check.ts';
import { INSTANCING } from './gltf-natives.ts';
import { isMembers, type Members } from './json-text.ts';
import type { Loss } from './scene.ts';

/** Members of the file and of a node that objects or settings keep, or that say how the file is built. */
const KEPT_OF_FILE = new Set([
  ...['asset', 'scene', 'scenes', 'nodes', 'cameras', 'extras', 'extensions'],
  ...['extensionsUsed', 'extensionsRequired'],
]);
const KEPT_OF_NODE = new Set([
  ...['name', 'children', 'translation', 'rotation', 'scale', 'matrix', 'mesh', 'skin', 'camera', 'weights'],
  ...['extras', 'extensions'],
]);

const KEPT_IN_MODEL = new Set([
  ...['accessors', 'animations', 'buffers', 'bufferViews', 'images', 'materials', 'meshes', 'samplers'],
  ...['skins', 'textures'],
]);

/**
 * Parts of a file that no object keeps, one entry per kind. Objects keep only index and name of their mesh and skin.
 * @param withModels whether the file itself is kept as a model
 */
export function findLosses(json: Members, nodes: readonly Members[], withModels = false): Loss[] {
  const losses = new Map<string, number>();
  const add = (kind: string, count: number) => {
    if (count > 0) losses.set(kind, (losses.get(kind) ?? 0) + count);
  };
  for (const [name, value] of Object.entries(json))
    if (!KEPT_OF_FILE.has(name) && !(withModels && KEPT_IN_MODEL.has(name)))
      add(Array.isArray(value) ? name : `"${name}" of the file`, countItems(value));
  add(
    'cameras without a node',
    countUnused(json.cameras, nodes, (node) => node.camera),
  );
  add('lights without a node', countUnused(listLights(json), nodes, lightOf));
  for (const node of nodes) {
    for (const name of Object.keys(node)) if (!KEPT_OF_NODE.has(name)) add(`"${name}" of nodes`, 1);
    add(`instances (${INSTANCING})`, countInstances(json, node));
  }
  return [...losses].map(([kind, count]) => ({ kind, count }));
}

function countItems(value: unknown): number {
  return Array.isArray(value) ? value.length : 1;
}

function countUnused(list: unknown, nodes: readonly Members[], indexOf: (node: Members) => unknown): number {
  if (!Array.isArray(list)) return 0;
  const used = new Set(nodes.map(indexOf));
  return list.filter((_, index) => !used.has(index)).length;
}

/** How often a node shows its mesh: as often as the longest of its attributes has items. */
function countInstances({ accessors }: Members, { extensions }: Members): number {
  const instancing = isMembers(extensions) ? extensions[INSTANCING] : undefined;
  if (!isMembers(instancing) || !isMembers(instancing.attributes)) return 0;
  const counts = Object.values(instancing.attributes).map((at) => {
    const accessor: unknown = Array.isArray(accessors) ? accessors[at as number] : undefined;
    return isMembers(accessor) && typeof accessor.count === 'number' ? accessor.count : 0;
  });
  return Math.max(0, ...counts);
}
