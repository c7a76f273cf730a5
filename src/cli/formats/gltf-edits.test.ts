import { describe, expect, it } from 'vitest';
import type { WorldObject } from '../../world/types.ts';
import { byId, contentOf, readDocument, stateOf } from '../testing/round-trip.ts';
import { writeGltf } from './write-gltf.ts';

type Json = Record<string, unknown>;
type Node = Json & { extras: Json; extensions: Json };
interface File extends Json {
  nodes: Node[];
  scenes: Json[];
  cameras: Json[];
  extensions: Record<string, Json>;
  extras: Json;
  asset: Json;
}

const LAMP = { type: 'point', intensity: 5 };
const EYE = { type: 'perspective', perspective: { yfov: 0.5, znear: 0.1 } };
const SCENE = {
  asset: { version: '2.0', copyright: 'someone' },
  extensions: {
    KHR_lights_punctual: { lights: [LAMP] },
    VENDOR_map: { map: 'a' },
    VENDOR_rig: { joints: [0, 1] },
  },
  cameras: [EYE],
  nodes: [
    { name: 'lamp', extensions: { KHR_lights_punctual: { light: 0 }, VENDOR_door: { open: true } } },
    { name: 'eye', camera: 0, mesh: 0, extras: { lens: 35 }, extensions: { VENDOR_lod: { nodes: [0] } } },
    { name: 'post' },
  ],
  meshes: [{ name: 'box', primitives: [] }],
  scene: 0,
  scenes: [{ nodes: [0, 1, 2], extras: { lit: true } }],
  extras: { made: 'here' },
};

async function exportScene() {
  const state = stateOf(await readDocument(SCENE));
  return { state, file: JSON.parse(JSON.stringify(writeGltf(state).json)) as File };
}

describe('an export', () => {
  it('has no empty list, which glTF forbids, and no name of an extension that it does not use', async () => {
    for (const document of [{ asset: { version: '2.0' } }, { asset: { version: '2.0' }, nodes: [{}] }]) {
      const json = writeGltf(stateOf(await readDocument(document))).json;
      const { extras, ...members } = json;
      expect(JSON.stringify(members)).not.toMatch(/\[\]|\{\}/);
      expect(members).not.toHaveProperty('extensionsUsed');
      expect(members).toMatchObject({ scene: 0, scenes: [{ name: 'town' }] });
    }
  });
});

describe('an edit by another program', () => {
  const gltfOf = (object?: object) => (object as WorldObject).properties.gltf as Json;

  it.each<[string, number, (file: File, node: Node) => void, (object: WorldObject, gltf: Json) => void]>([
    ['its name', 0, (_, node) => (node.name = 'sun'), (object) => (object.name = 'sun')],
    [
      'its place',
      2,
      (_, node) => (node.translation = [1, 2, 3]),
      (object) => (object.position = { x: 1, y: 2, z: 3 }),
    ],
    [
      'its light',
      0,
      (file) => (file.extensions.KHR_lights_punctual = { lights: [{ ...LAMP, intensity: 7 }] }),
      (_, gltf) => (gltf.light = { index: 0, ...LAMP, intensity: 7 }),
    ],
    [
      'its light, away',
      0,
      (_, node) => delete node.extensions.KHR_lights_punctual,
      (_, gltf) => {
        delete gltf.light;
        gltf.extensions = { VENDOR_door: { open: true } };
      },
    ],
    ['its camera, away', 1, (_, node) => delete node.camera, (_, gltf) => delete gltf.camera],
    ['a camera', 2, (_, node) => (node.camera = 0), (_, gltf) => (gltf.camera = { index: 0, ...EYE })],
    [
      'an extension',
      0,
      (_, node) => (node.extensions.VENDOR_door = { open: false }),
      (_, gltf) => (gltf.extensions = { KHR_lights_punctual: { light: 0 }, VENDOR_door: { open: false } }),
    ],
    [
      'its extras',
      1,
      (_, node) => (node.extras.lens = 50),
      (object) => (object.properties.extras = { lens: 50 }),
    ],
    [
      'its extras, away',
      1,
      (_, node) => delete node.extras.lens,
      (object) => delete object.properties.extras,
    ],
    [
      'extras',
      2,
      (_, node) => (node.extras.old = true),
      (object) => (object.properties.extras = { old: true }),
    ],
    [
      'its mesh',
      1,
      (file, node) => {
        file.meshes = [{ primitives: [] }, { name: 'ball', primitives: [] }];
        node.mesh = 1;
      },
      (_, gltf) => (gltf.mesh = { index: 1, name: 'ball' }),
    ],
    [
      'its scene',
      2,
      (file) => (file.scenes = [{ ...file.scenes[0], nodes: [0, 1] }]),
      (_, gltf) => (gltf.scenes = []),
    ],
  ])('comes back, and nothing else: %s', async (_, index, edit, expectChange) => {
    const { state, file } = await exportScene();
    edit(file, file.nodes[index] as Node);
    const after = stateOf(await readDocument(file));
    const [object] = state.objects.slice(index);
    if (object === undefined) throw new Error('no such object');
    expectChange(object, object.properties.gltf as Json);
    expect(contentOf(after)).toEqual(contentOf(state));
  });

  it('comes back of the file and its scenes too', async () => {
    const { state, file } = await exportScene();
    file.scenes[0] = { ...file.scenes[0], extras: { lit: false } };
    file.extras.made = 'elsewhere';
    file.extensions.VENDOR_map = { map: 'b' };
    file.asset.copyright = 'somebody';
    const after = stateOf(await readDocument(file));
    expect(byId(after.objects)).toEqual(byId(state.objects));
    expect(after.space.settings.gltf).toEqual({
      asset: { copyright: 'somebody' },
      scenes: [{ extras: { lit: false } }],
      extras: { made: 'elsewhere' },
      extensions: { VENDOR_map: { map: 'b' }, VENDOR_rig: { joints: [0, 1] } },
    });
  });

  it('leaves meshes alone, and extensions that point into their file: an export has neither', async () => {
    const { state, file } = await exportScene();
    expect(JSON.stringify(file.nodes.map(({ extensions }) => extensions))).not.toContain('VENDOR_lod');
    expect(Object.keys(file.extensions).toSorted()).toEqual(['KHR_lights_punctual', 'VENDOR_map']);
    expect(file.extensionsUsed).toEqual(['KHR_lights_punctual', 'VENDOR_door', 'VENDOR_map']);
    expect(file).not.toHaveProperty('meshes');
    const after = byId(stateOf(await readDocument(file)).objects);
    expect(gltfOf(after['town:1'])).toEqual(gltfOf(state.objects[1]));
    expect(gltfOf(after['town:1'])).toMatchObject({
      mesh: { index: 0, name: 'box' },
      extensions: { VENDOR_lod: { nodes: [0] } },
    });
  });
});
