import type { JsonValue } from '../../world/types.ts';
import type { CheckedGltf } from './gltf-check.ts';

/** Where the roots of a file are. */
export interface Memberships {
  /** The scene that a viewer shows. Without a word from the file it is the first. */
  shown: number;
  scenes: number;
  /** The scenes that each root is in, ascending; of a file without scenes, the one that is shown. */
  of: ReadonlyMap<number, readonly number[]>;
}

export function readMemberships({ json, parents }: CheckedGltf): Memberships {
  const scenes = (json.scenes ?? []) as { nodes?: number[] }[];
  const shown = typeof json.scene === 'number' ? json.scene : 0;
  const memberships = new Map<number, number[]>();
  for (const [index, parent] of parents.entries())
    if (parent === null) memberships.set(index, scenes.length === 0 ? [shown] : []);
  for (const [index, { nodes = [] }] of scenes.entries())
    for (const node of new Set(nodes)) memberships.get(node)?.push(index);
  return { shown, scenes: Math.max(1, scenes.length), of: memberships };
}

/** How many nodes are not in the scene that is shown, neither themselves nor under a root that is. */
export function countOutside({ parents }: CheckedGltf, { shown, of }: Memberships): number {
  const roots = new Map<number, number>();
  for (const start of parents.keys()) {
    const path = [start];
    let root = start;
    for (let parent = parents[root] ?? null; parent !== null; parent = parents[root] ?? null) {
      root = roots.get(parent) ?? parent;
      path.push(parent);
    }
    for (const node of path) roots.set(node, root);
  }
  return [...roots.values()].filter((root) => of.get(root)?.includes(shown) === false).length;
}

/**
 * @param kept `properties.gltf.scenes` of a root.
 * @returns the scenes to write it into, ascending: the one that is shown where it names none that is there.
 */
export function scenesOf(kept: JsonValue | undefined, { scenes, shown }: Omit<Memberships, 'of'>): number[] {
  if (!Array.isArray(kept)) return [shown];
  const isThere = (at: JsonValue): at is number =>
    Number.isInteger(at) && Number(at) >= 0 && Number(at) < scenes;
  const there = [...new Set(kept.filter(isThere))].toSorted((a, b) => a - b);
  return there.length === 0 && kept.length > 0 ? [shown] : there;
}
