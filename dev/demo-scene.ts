import type { Quaternion, Vector3 } from '../src/world/types.ts';

interface Node {
  name: string;
  children?: number[];
  translation: number[];
  rotation: number[];
  scale: number[];
  extras: Record<string, unknown>;
}

const RINGS = 12;
const HOUSES_PER_RING = 10;
const PARTS = ['walls', 'roof', 'door', 'lamp'];

/** About the Y axis, by so many radians. */
function turn(angle: number): Quaternion {
  return { x: 0, y: Math.sin(angle / 2), z: 0, w: Math.cos(angle / 2) };
}

function makeNode(
  name: string,
  at: Vector3,
  angle: number,
  size: number,
  extras: Record<string, unknown>,
): Node {
  const { x, y, z, w } = turn(angle);
  return { name, translation: [at.x, at.y, at.z], rotation: [x, y, z, w], scale: [size, size, size], extras };
}

/**
 * A town of rings of houses, each with its parts, as a glTF 2.0 document of 601 nodes four levels deep. No short decimal equals its
 * numbers, so only a bit-for-bit copy compares as equal.
 */
export function makeTown(): {
  asset: { version: string };
  scene: number;
  scenes: { nodes: number[] }[];
  nodes: Node[];
} {
  const nodes: Node[] = [];
  const add = (node: Node, parent?: Node): Node => {
    nodes.push(node);
    if (parent !== undefined) {
      parent.children ??= [];
      parent.children.push(nodes.length - 1);
    }
    return node;
  };
  const town = add(makeNode('town', { x: 0, y: 0, z: 0 }, 0, 1, { founded: 1873 }));
  for (let ring = 0; ring < RINGS; ring++) {
    for (let house = 0; house < HOUSES_PER_RING; house++) {
      const angle = ((house + ring / 3) / HOUSES_PER_RING) * 2 * Math.PI;
      const distance = 12 * (ring + 1) ** 1.1;
      const at = { x: Math.cos(angle) * distance, y: Math.sin(ring) / 3, z: Math.sin(angle) * distance };
      const extras = {
        ring,
        house,
        windows: [{ lit: house % 2 === 0 }],
        'colour/wall': `hsl(${ring * 30} 40% 60%)`,
      };
      const built = add(makeNode(`house ${ring}-${house}`, at, -angle, 1 + house / 7, extras), town);
      for (const [i, part] of PARTS.entries())
        add(makeNode(part, { x: i / 3, y: i * 1.7, z: -i / 9 }, i / 5, 1 / (i + 1), { part }), built);
    }
  }
  return { asset: { version: '2.0' }, scene: 0, scenes: [{ nodes: [0] }], nodes };
}
