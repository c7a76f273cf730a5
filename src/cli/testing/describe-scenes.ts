import { readFileSync } from 'node:fs';
import { join, parse } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uniqueName } from '../../../test/support.ts';
import type { JsonObject, ObjectInput } from '../../world/types.ts';
import { isGlb, sliceGlbJson } from '../formats/glb.ts';
import { readScene } from '../formats/read-scene.ts';
import { contentOf, openWorkplace, type Workplace } from './workplace.ts';

interface GltfNode {
  name?: string;
  children?: number[];
  translation?: number[];
  rotation?: number[];
  scale?: number[];
  matrix?: number[];
}

interface SpokeEntity {
  name: string;
  parent?: string;
  components: { name: string; props: Record<string, Record<string, number>> }[];
}

/** Each object of a scene must be what its file says, to the last bit, and must survive import, export and import. */
export function describeScenes(folder: string, scenes: [file: string, objects: number][]): void {
  let at: Workplace;
  beforeAll(async () => {
    at = await openWorkplace();
  });
  afterAll(() => at.close());

  describe.each(scenes)('%s', (file, count) => {
    const path = join(folder, file);
    const bytes = readFileSync(path);

    async function read(): Promise<ObjectInput[]> {
      const scene = await readScene(bytes, { file, stem: parse(file).name });
      expect([scene.objects, scene.normalisedRotations]).toEqual([count, 0]);
      return scene.world.objects as unknown as ObjectInput[];
    }

    it('gives each object the name, parent and transform of its file', async () => {
      const objects = await read();
      expect(objects).toHaveLength(count);
      if (file.endsWith('.spoke')) expectEntities(objects, JSON.parse(bytes.toString()));
      else expectNodes(objects, readNodes(bytes, file), parse(file).name);
    });

    it('is the same world after import, export and import', async () => {
      const [space, copy] = [uniqueName('s'), uniqueName('s')];
      await at.runJson('import', path, '--space', space);
      await at.runJson('export', '--space', space, '-o', `${space}.json`);
      await at.runJson('import', `${space}.json`, '--space', copy);
      const [before, after] = [await at.loadState(space), await at.loadState(copy)];
      // As text, because JSON writes −0 as 0.
      const fromFile = new Map((await read()).map((object) => [object.id, JSON.stringify(placeOf(object))]));
      expect(before.objects.map(({ id }) => id).toSorted()).toEqual([...fromFile.keys()].toSorted());
      for (const object of before.objects)
        expect(JSON.stringify(placeOf(object))).toBe(fromFile.get(object.id));
      expect(JSON.stringify(contentOf(after))).toBe(JSON.stringify(contentOf(before)));
    });
  });
}

function readNodes(bytes: Uint8Array, file: string): GltfNode[] {
  const json = isGlb(bytes) ? sliceGlbJson(bytes, file) : bytes;
  return JSON.parse(Buffer.from(json).toString()).nodes;
}

function placeOf({ name, parentId, position, rotation, scale }: ObjectInput) {
  return { name, parentId, position, rotation, scale };
}

function expectNodes(objects: ObjectInput[], nodes: GltfNode[], stem: string): void {
  for (const [i, node] of nodes.entries()) {
    const { id, name, parentId, position, rotation, scale } = objects[i] as ObjectInput;
    const parent = nodes.findIndex(({ children = [] }) => children.includes(i));
    expect([id, name]).toEqual([`${stem}:${i}`, node.name ?? null]);
    expect(parentId).toBe(parent < 0 ? null : `${stem}:${parent}`);
    if (node.matrix !== undefined) {
      const matrix = composeMatrix({ position, rotation, scale });
      for (const [at, value] of node.matrix.entries()) expect(matrix[at]).toBeCloseTo(value, 12);
      continue;
    }
    expect(Object.values(position)).toEqual(node.translation ?? [0, 0, 0]);
    expect(Object.values(rotation)).toEqual(node.rotation ?? [0, 0, 0, 1]);
    expect(Object.values(scale)).toEqual(node.scale ?? [1, 1, 1]);
  }
}

/** Column by column, as glTF writes a matrix. */
function composeMatrix({ position, rotation, scale }: Pick<ObjectInput, 'position' | 'rotation' | 'scale'>) {
  const { x, y, z, w } = rotation;
  const axes = [
    [1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)],
    [2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)],
    [2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)],
  ];
  const factors = Object.values(scale);
  const columns = axes.map((axis, i) => [...axis.map((value) => value * (factors[i] ?? 1)), 0]);
  return [...columns.flat(), position.x, position.y, position.z, 1];
}

function expectEntities(
  objects: ObjectInput[],
  { entities }: { entities: Record<string, SpokeEntity> },
): void {
  for (const { id, name, parentId, position, scale, properties } of objects) {
    const entity = entities[id];
    const props = entity?.components.find((component) => component.name === 'transform')?.props;
    expect([name, parentId]).toEqual([entity?.name, entity?.parent ?? null]);
    expect(position).toEqual(props?.position ?? { x: 0, y: 0, z: 0 });
    expect(scale).toEqual(props?.scale ?? { x: 1, y: 1, z: 1 });
    expect(properties.spoke as JsonObject).toMatchObject({
      components: entity?.components.filter((component) => component.name !== 'transform'),
      ...(props && { euler: props.rotation }),
    });
  }
}
