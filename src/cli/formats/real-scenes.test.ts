import { existsSync, readFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ObjectInput } from '../../world/types.ts';
import { readScene } from './read-scene.ts';

const FOLDER = new URL('../../../../shared/data/scenes/', import.meta.url);
const path = (file: string) => new URL(file, FOLDER);
const there = existsSync(path('many-cubes.gltf'));
const skipped = there ? '' : ' (skipped: ../shared/data/scenes is not there)';

async function read(file: string) {
  const scene = await readScene(readFileSync(path(file)), { file, stem: basename(file, extname(file)) });
  return { ...scene, list: scene.world.objects as unknown as ObjectInput[] };
}

interface GltfNode {
  name?: string;
  children?: number[];
  translation?: number[];
  rotation?: number[];
  scale?: number[];
}
interface SpokeEntity {
  name: string;
  parent?: string;
  components: { name: string; props: Record<string, Record<string, number>> }[];
}

describe(`real scenes${skipped}`, () => {
  it.skipIf(!there)(
    'many-cubes.gltf: every node with parent, name and transform to the last bit',
    async () => {
      const { nodes } = JSON.parse(readFileSync(path('many-cubes.gltf'), 'utf8')) as { nodes: GltfNode[] };
      const { list, normalisedRotations } = await read('many-cubes.gltf');
      expect(list).toHaveLength(506);
      expect(normalisedRotations).toBe(0);
      for (const [i, node] of nodes.entries()) {
        const object = list[i];
        const parent = nodes.findIndex(({ children = [] }) => children.includes(i));
        expect(object?.id).toBe(`many-cubes:${i}`);
        expect(object?.name).toBe(node.name ?? null);
        expect(object?.parentId).toBe(parent < 0 ? null : `many-cubes:${parent}`);
        expect(Object.values(object?.position ?? {})).toEqual(node.translation ?? [0, 0, 0]);
        expect(Object.values(object?.rotation ?? {})).toEqual(node.rotation ?? [0, 0, 0, 1]);
        expect(Object.values(object?.scale ?? {})).toEqual(node.scale ?? [1, 1, 1]);
      }
    },
  );

  it.skipIf(!there)('hubs-test-scene.spoke: every entity with parent, name and transform', async () => {
    const { entities } = JSON.parse(readFileSync(path('hubs-test-scene.spoke'), 'utf8')) as {
      entities: Record<string, SpokeEntity>;
    };
    const { list } = await read('hubs-test-scene.spoke');
    expect(list).toHaveLength(29);
    for (const object of list) {
      const entity = entities[object.id];
      expect(object.name).toBe(entity?.name);
      expect(object.parentId).toBe(entity?.parent ?? null);
      const props = entity?.components.find(({ name }) => name === 'transform')?.props;
      expect(object.position).toEqual(props?.position ?? { x: 0, y: 0, z: 0 });
      expect(object.scale).toEqual(props?.scale ?? { x: 1, y: 1, z: 1 });
      const others = entity?.components.filter(({ name }) => name !== 'transform');
      expect(object.properties.spoke).toMatchObject({
        components: others,
        ...(props && { euler: props.rotation }),
      });
    }
  });

  it.skipIf(!there)('duck.glb and knight.glb', async () => {
    const [duck, knight] = [await read('duck.glb'), await read('knight.glb')];
    expect(duck.list.map(({ id, parentId }) => [id, parentId])).toEqual([
      ['duck:0', null],
      ['duck:1', 'duck:0'],
      ['duck:2', 'duck:1'],
      ['duck:3', 'duck:2'],
      ['duck:4', 'duck:3'],
      ['duck:5', 'duck:4'],
    ]);
    // A node with a matrix: a quarter turn about x.
    expect(duck.list[2]?.rotation.x).toBeCloseTo(Math.SQRT1_2, 15);
    expect(duck.list[2]?.properties).toEqual({ gltf: { node: 2 } });
    expect(knight.list).toHaveLength(1);
  });
});
