import { readFileSync } from 'node:fs';
import { parse } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eulerToQuaternion } from '../../world/quaternion.ts';
import { contentOf, readDocument, stateOf } from '../testing/round-trip.ts';
import { readScene } from './read-scene.ts';
import { writeGltf } from './write-gltf.ts';

const FOLDER = new URL('../../../../shared/data/cases/', import.meta.url);
const ANGLES = { x: 0.5, y: 1, z: 0.25 };

async function read(file: string) {
  const scene = await readScene(readFileSync(new URL(file, FOLDER)), { file, stem: parse(file).name });
  return { ...scene, state: stateOf(scene) };
}

describe('files that failed once', () => {
  it.each([
    ['chat-many.json', 1],
    ['crater-migrated-v9.spoke', 6],
    ['euler-order.json', 2],
    ['inst.gltf', 1],
    ['light-and-camera.gltf', 2],
    ['model-spaces.json', 1],
    ['nulpad.glb', 1],
    ['roundtrip-exported.gltf', 2],
    ['roundtrip-new-node-first.gltf', 3],
    ['three-arrays.json', 1],
    ['three-euler.json', 1],
  ])('%s has %i objects, and is the same after export and import', async (file, count) => {
    const { state } = await read(file);
    expect(state.objects).toHaveLength(count);
    for (const exported of [writeGltf(state).json, state])
      expect(contentOf(stateOf(await readDocument(exported)))).toEqual(contentOf(state));
  });

  it('have the rotations, paths, messages and ids that they say', async () => {
    const rotations = async (file: string) =>
      (await read(file)).state.objects.map(({ rotation }) => rotation);
    expect(await rotations('euler-order.json')).toEqual([
      eulerToQuaternion(ANGLES, 'YXZ'),
      eulerToQuaternion(ANGLES),
    ]);
    expect(await rotations('three-euler.json')).toEqual([eulerToQuaternion(ANGLES)]);
    expect(await rotations('three-arrays.json')).toEqual([{ x: 0, y: 0, z: 0, w: 1 }]);
    expect((await read('model-spaces.json')).state.models[0]?.url).toBe('/uploads/My%20Chair.glb');
    expect((await read('chat-many.json')).state.chat).toHaveLength(120);
    const { objects } = (await read('roundtrip-new-node-first.gltf')).state;
    const ids = Object.fromEntries(objects.map(({ id, name }) => [name, id]));
    expect(ids).toMatchObject({ gate: 'town:0', well: 'town:1' });
    expect(ids.arch).toMatch(/^roundtrip-new-node-first:0-[0-9a-f]{12}$/);
    expect((await read('inst.gltf')).notPreserved).toContainEqual({
      kind: 'instances (EXT_mesh_gpu_instancing)',
      count: 500,
    });
  });

  it('are refused by name, with what to do', async () => {
    await expect(read('ids.json')).rejects.toThrow('ids.json: object "..": id must be 1 to 128 characters');
    await expect(read('gltf1-number.gltf')).rejects.toThrow(
      'is glTF 1, which is not read: convert it to glTF 2.0',
    );
  });
});
