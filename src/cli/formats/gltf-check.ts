import { countOf } from '../../helpers/counts.ts';
import { findCycle } from './hierarchy.ts';
import { isMembers, type Members, showValue } from './json-text.ts';
import { SceneError } from './scene.ts';

/** How far the last row of a matrix may be from 0 0 0 1. */
const AFFINE_TOLERANCE = 1e-6;

/** A glTF document whose nodes are known to be sound: every index in range, every number finite, no cycle. */
export interface CheckedGltf {
  json: Members;
  nodes: Members[];
  /** Each node's parent by index, null for a root. */
  parents: (number | null)[];
  /** The name of each node in messages. */
  labels: string[];
}

const LISTS = { mesh: 'meshes', camera: 'cameras', skin: 'skins' } as const;
const TRANSFORM_PARTS = { translation: 3, rotation: 4, scale: 3, matrix: 16 } as const;

/** @throws SceneError naming the first node that is not as glTF 2.0 has it. */
export function checkGltf(json: unknown, file: string): CheckedGltf {
  if (!isMembers(json)) throw new SceneError(file, null, 'holds JSON, but no glTF object');
  checkVersion(json, file);
  const { nodes = [] } = json;
  if (!Array.isArray(nodes)) throw new SceneError(file, null, 'nodes must be a list');

  const labels = nodes.map(labelNode);
  const fail = (index: number, what: string) => new SceneError(file, labels[index] ?? null, what);
  for (const [index, node] of nodes.entries()) {
    const reason = isMembers(node) ? findNodeFault(node, json) : `must be an object, not ${showValue(node)}`;
    if (reason !== null) throw fail(index, reason);
  }
  const parents = readParents(nodes, labels, fail);
  const cycle = findCycle(new Map(parents.entries()));
  if (cycle !== null) {
    const names = cycle.map((index) => labels[index]);
    throw fail(cycle[0] ?? 0, `is its own ancestor (child → parent): ${[...names, names[0]].join(' → ')}`);
  }
  checkScenes(json, nodes.length, file);
  return { json, nodes: nodes as Members[], parents, labels };
}

export const GLTF_1_ADVICE =
  'which is not read: convert it to glTF 2.0 first (gltf-pipeline converts it), then import the result';

function checkVersion({ asset, scenes, nodes }: Members, file: string): void {
  const fail = (what: string) => new SceneError(file, null, what);
  const { version, minVersion } = isMembers(asset) ? asset : {};
  const isFirst =
    version === undefined ? isMembers(nodes) || isMembers(scenes) : /^1(\.|$)/.test(String(version));
  if (isFirst) throw fail(`is glTF ${version ?? 1}, ${GLTF_1_ADVICE}`);
  if (version === undefined) throw fail('has no asset.version');
  if (typeof version !== 'string')
    throw fail(`asset.version must be text such as "2.0", not ${showValue(version)}`);
  const needed = typeof minVersion === 'string' ? minVersion : '2.0';
  if (/^2\.\d+$/.test(version) && needed === '2.0') return;
  const said = needed === '2.0' ? version : `${version} (at least ${needed})`;
  throw fail(`is glTF ${said}; version 2.0 can be imported`);
}

function labelNode(node: unknown, index: number): string {
  const name = isMembers(node) ? node.name : undefined;
  return typeof name === 'string' && name !== '' ? `node ${index} ${showValue(name)}` : `node ${index}`;
}

/** @returns what is wrong with a node taken by itself, or null. */
function findNodeFault(node: Members, json: Members): string | null {
  if (node.name !== undefined && typeof node.name !== 'string')
    return `name must be text, not ${showValue(node.name)}`;
  for (const [part, length] of Object.entries(TRANSFORM_PARTS)) {
    const reason = findNumbersFault(node[part], part, length);
    if (reason !== null) return reason;
  }
  if (node.matrix !== undefined) {
    const beside = (['translation', 'rotation', 'scale'] as const).find((part) => node[part] !== undefined);
    if (beside !== undefined) return `has both matrix and ${beside}, of which glTF allows one`;
    const m = node.matrix as number[];
    const lastRow = [m[3], m[7], m[11], m[15]] as number[];
    if (lastRow.some((value, i) => Math.abs(value - (i === 3 ? 1 : 0)) > AFFINE_TOLERANCE))
      return `matrix is no transform: its last row is ${lastRow.join(' ')} where 0 0 0 1 must be`;
  }
  if (node.rotation !== undefined && (node.rotation as number[]).every((part) => part === 0))
    return 'rotation is 0 0 0 0, which turns nothing';
  for (const [member, list] of Object.entries(LISTS)) {
    const reason = findIndexFault(node[member], member, member, json[list]);
    if (reason !== null) return reason;
  }
  const light = lightOf(node);
  return light === undefined ? null : findIndexFault(light, 'light', 'light', listLights(json));
}

function findNumbersFault(value: unknown, part: string, length: number): string | null {
  if (value === undefined) return null;
  if (!Array.isArray(value)) return `${part} must be a list of ${length} numbers, not ${showValue(value)}`;
  if (value.length !== length)
    return `${part} has ${countOf(value.length, 'number')} where ${length} are needed`;
  const wrong = value.findIndex((item) => typeof item !== 'number' || !Number.isFinite(item));
  return wrong < 0 ? null : `${part}[${wrong}] must be a finite number, not ${showValue(value[wrong])}`;
}

function findIndexFault(index: unknown, member: string, item: string, items: unknown): string | null {
  if (index === undefined) return null;
  const length = Array.isArray(items) ? items.length : 0;
  if (Number.isInteger(index) && (index as number) >= 0 && (index as number) < length) return null;
  return `${member} ${showValue(index)} does not exist: the file has ${countOf(length, item)}`;
}

function readParents(
  nodes: readonly unknown[],
  labels: readonly string[],
  fail: (index: number, what: string) => SceneError,
): (number | null)[] {
  const parents = new Array<number | null>(nodes.length).fill(null);
  for (const [index, node] of nodes.entries()) {
    const children = (node as Members).children;
    if (children === undefined) continue;
    if (!Array.isArray(children)) throw fail(index, `children must be a list, not ${showValue(children)}`);
    for (const child of children) {
      const reason = findIndexFault(child, 'child', 'node', nodes);
      if (reason !== null) throw fail(index, reason);
      const before = parents[child as number] ?? null;
      if (before === index) throw fail(index, `has ${labels[child as number]} as a child twice`);
      if (before !== null)
        throw fail(child as number, `has two parents: ${labels[before]} and ${labels[index]}`);
      parents[child as number] = index;
    }
  }
  return parents;
}

function checkScenes(json: Members, nodeCount: number, file: string): void {
  const { scenes, scene } = json;
  if (scenes !== undefined && !Array.isArray(scenes))
    throw new SceneError(file, null, 'scenes must be a list');
  const reason = findIndexFault(scene, 'scene', 'scene', scenes);
  if (reason !== null) throw new SceneError(file, null, reason);
  for (const [index, item] of (scenes ?? []).entries()) {
    const label = `scene ${index}`;
    if (!isMembers(item)) throw new SceneError(file, label, 'must be an object');
    if (item.nodes !== undefined && !Array.isArray(item.nodes))
      throw new SceneError(file, label, 'nodes must be a list');
    for (const node of (item.nodes ?? []) as unknown[])
      if (!Number.isInteger(node) || (node as number) < 0 || (node as number) >= nodeCount)
        throw new SceneError(
          file,
          label,
          `node ${showValue(node)} does not exist: the file has ${countOf(nodeCount, 'node')}`,
        );
  }
}

/** @returns a node's index into the lights of KHR_lights_punctual, if it has one. */
export function lightOf(node: Members): unknown {
  const { KHR_lights_punctual: light } = isMembers(node.extensions) ? node.extensions : {};
  return isMembers(light) ? light.light : undefined;
}

export function listLights(json: Members): unknown {
  const { KHR_lights_punctual: lights } = isMembers(json.extensions) ? json.extensions : {};
  return isMembers(lights) ? lights.lights : undefined;
}
