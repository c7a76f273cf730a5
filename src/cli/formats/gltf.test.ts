import { describe, expect, it } from 'vitest';
import type { ObjectInput } from '../../world/types.ts';
import { readScene } from './read-scene.ts';

type Json = Record<string, unknown>;

const ASSET = { version: '2.0' };

function encode(json: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(json));
}

async function read(json: Json, stem = 'town') {
  return readScene(encode({ asset: ASSET, ...json }), { file: `${stem}.gltf`, stem });
}

async function readObjects(json: Json, stem?: string): Promise<ObjectInput[]> {
  return (await read(json, stem)).world.objects as unknown as ObjectInput[];
}

describe('reading glTF', () => {
  it('makes an object of every node, with its parent, in whatever scene or none', async () => {
    const objects = await readObjects({
      scenes: [{ nodes: [2] }, { nodes: [2, 3] }],
      nodes: [
        { name: 'lamp' },
        { children: [0] },
        { name: 'street', children: [1] },
        {},
        { name: 'nowhere' },
      ],
    });
    expect(objects.map(({ id, name, parentId }) => [id, name, parentId])).toEqual([
      ['town:0', 'lamp', 'town:1'],
      ['town:1', null, 'town:2'],
      ['town:2', 'street', null],
      ['town:3', null, null],
      ['town:4', 'nowhere', null],
    ]);
    expect(objects.map(({ properties }) => (properties.gltf as Json).scenes)).toEqual([
      undefined,
      undefined,
      [0, 1],
      [1],
      [],
    ]);
  });

  it('says how many nodes are outside the default scene, and keeps which scenes there are', async () => {
    const nodes = [{ name: 'lamp' }, { children: [0] }, {}, { name: 'nowhere' }];
    const scenes = [
      { name: 'drafts', nodes: [1] },
      { nodes: [2], extras: { lit: true } },
    ];
    const { notes, space } = await read({ scene: 1, scenes, nodes });
    expect(notes.map(({ code, count }) => [code, count])).toEqual([['outside_default_scene', 3]]);
    expect(space.settings).toEqual({
      gltf: { scene: 1, scenes: [{ name: 'drafts' }, { extras: { lit: true } }] },
    });
    const plain = await read({ scenes: [{ nodes: [1, 2, 3] }], nodes });
    expect([plain.notes, plain.space.settings]).toEqual([[], {}]);
  });

  it('takes a file without nodes as an empty world, and says so', async () => {
    for (const file of [{ nodes: [] }, {}, { scene: 0, scenes: [{ name: 'Empty' }] }]) {
      const scene = await read(file);
      expect([scene.objects, scene.world.objects]).toEqual([0, []]);
      expect(scene.notes.map(({ code }) => code)).toEqual(['no_nodes']);
    }
  });

  it('keeps cameras and lights whole, and what the file says of itself in the settings', async () => {
    const light = { type: 'spot', name: 'red', color: [1, 0, 0], spot: { innerConeAngle: 0.2 } };
    const camera = { type: 'perspective', perspective: { yfov: 0.3, znear: 1 }, extras: { lens: 35 } };
    const packets = { packets: [{ 'dc:title': 'Town' }] };
    const { space, world, document, notPreserved } = await read({
      asset: { ...ASSET, generator: 'a tool', copyright: 'someone' },
      extensions: { KHR_lights_punctual: { lights: [{ type: 'point' }, light] }, KHR_xmp_json_ld: packets },
      extras: { north: [0, 0, -1] },
      cameras: [camera],
      nodes: [{ camera: 0 }, { extensions: { KHR_lights_punctual: { light: 1 } } }],
    });
    const properties = (world.objects as unknown as ObjectInput[]).map((object) => object.properties.gltf);
    expect(properties).toMatchObject([
      { camera: { index: 0, ...camera } },
      { light: { index: 1, ...light } },
    ]);
    const gltf = {
      asset: { copyright: 'someone' },
      extras: { north: [0, 0, -1] },
      extensions: { KHR_xmp_json_ld: packets },
    };
    expect([document, space.settings]).toEqual([gltf, { gltf }]);
    expect(notPreserved).toEqual([{ kind: 'lights without a node', count: 1 }]);
  });

  it('names each kind of thing that is not preserved, with its count', async () => {
    const instances = { attributes: { TRANSLATION: 1, ROTATION: 2 } };
    const { notPreserved } = await read({
      nodes: [{ mesh: 0, extensions: { EXT_mesh_gpu_instancing: instances } }, { speed: 3 }],
      meshes: [{ primitives: [] }, { primitives: [] }],
      accessors: [{ count: 3 }, { count: 500 }, { count: 500 }],
      animations: [{}],
      cameras: [{ type: 'perspective' }],
      sounds: { rain: 1 },
      extensions: { VENDOR_map: { text: 'x'.repeat(70_000) }, VENDOR_small: {} },
    });
    expect(notPreserved).toEqual([
      { kind: 'meshes', count: 2 },
      { kind: 'accessors', count: 3 },
      { kind: 'animations', count: 1 },
      { kind: '"sounds" of the file', count: 1 },
      { kind: 'cameras without a node', count: 1 },
      { kind: 'instances (EXT_mesh_gpu_instancing)', count: 500 },
      { kind: '"speed" of nodes', count: 1 },
      { kind: 'VENDOR_map of the file', count: 1 },
    ]);
  });

  it('keeps translation, rotation and scale to the last bit of a double', async () => {
    const translation = [0.1 + 0.2, 1e-300, -123456789.12345679];
    const rotation = [0.18257418583505536, 0.3651483716701107, 0.5477225575051661, 0.7302967433402214];
    const scale = [1 / 3, 5e-324, 0.9999999999999999];
    const [object] = await readObjects({ nodes: [{ translation, rotation, scale }] });
    expect(object).toMatchObject({
      position: { x: translation[0], y: translation[1], z: translation[2] },
      rotation: { x: rotation[0], y: rotation[1], z: rotation[2], w: rotation[3] },
      scale: { x: scale[0], y: scale[1], z: scale[2] },
    });
  });

  it('says what a node shows, and keeps its extras and extensions', async () => {
    const lights = { KHR_lights_punctual: { lights: [{ type: 'point', name: 'bulb' }] } };
    const [object, camera] = await readObjects({
      extensions: lights,
      meshes: [{ primitives: [] }, { name: 'Post', primitives: [{ attributes: { POSITION: 7 } }] }],
      skins: [{ joints: [0] }],
      cameras: [{ type: 'perspective', name: 'eye' }],
      nodes: [
        {
          mesh: 1,
          skin: 0,
          weights: [0.5],
          extras: { door: { locked: true } },
          extensions: { KHR_lights_punctual: { light: 0 }, EXT_other: { a: [1] } },
        },
        { camera: 0, extras: 'north' },
      ],
    });
    expect(object?.properties).toEqual({
      gltf: {
        node: 0,
        mesh: { index: 1, name: 'Post' },
        skin: { index: 0 },
        light: { index: 0, name: 'bulb', type: 'point' },
        weights: [0.5],
        extensions: { KHR_lights_punctual: { light: 0 }, EXT_other: { a: [1] } },
      },
      extras: { door: { locked: true } },
    });
    expect(camera?.properties).toEqual({
      gltf: { node: 1, camera: { index: 0, name: 'eye', type: 'perspective' } },
      extras: 'north',
    });
  });

  it('takes matrices apart, and keeps one that no transform is', async () => {
    const turned = [0, 0, -2, 0, 0, 2, 0, 0, 2, 0, 0, 0, 5, 6, 7, 1];
    const sheared = [1, 0, 0, 0, 0.5, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
    const [first, second] = await readObjects({ nodes: [{ matrix: turned }, { matrix: sheared }] });
    expect(first?.position).toEqual({ x: 5, y: 6, z: 7 });
    expect(first?.scale).toEqual({ x: 2, y: 2, z: 2 });
    expect(first?.rotation.y).toBeCloseTo(Math.SQRT1_2, 15);
    expect(first?.rotation.w).toBeCloseTo(Math.SQRT1_2, 15);
    expect(first?.properties).toEqual({ gltf: { node: 0 } });
    expect(second?.properties).toEqual({ gltf: { node: 1, matrix: sheared } });
  });

  it('needs no buffers, images or extensions that it does not know', async () => {
    const objects = await readObjects({
      extensionsUsed: ['KHR_draco_mesh_compression', 'VENDOR_unheard_of'],
      extensionsRequired: ['KHR_draco_mesh_compression', 'VENDOR_unheard_of'],
      buffers: [{ uri: 'absent.bin', byteLength: 10 }],
      images: [{ uri: 'absent.png' }],
      meshes: [{ primitives: [{ attributes: { POSITION: 99 } }] }],
      nodes: [{ mesh: 0 }],
    });
    expect(objects).toHaveLength(1);
  });

  it('counts the rotations that will be normalised', async () => {
    const nodes = [
      { rotation: [0, 0, 0, 2] },
      { rotation: [0, 0, 0, 1.00005] },
      { rotation: [0, 0.5, 0, 0] },
    ];
    expect((await read({ nodes })).normalisedRotations).toBe(2);
  });

  it('gives the same ids each time, and other files other ids, whatever their names', async () => {
    const ids = async (stem: string) => (await readObjects({ nodes: [{}] }, stem))[0]?.id;
    expect(await ids('many-cubes')).toBe('many-cubes:0');
    expect(await ids('my scene')).toMatch(/^my_scene-[0-9a-f]{8}:0$/);
    expect(await ids('my scene')).toBe(await ids('my scene'));
    expect(await ids('世界')).not.toBe(await ids('地図'));
    expect((await ids('x'.repeat(300)))?.length).toBeLessThanOrEqual(128);
    expect(await ids('')).toMatch(/^-[0-9a-f]{8}:0$/);
  });

  it('gives the same ids however the system spells the file’s name', async () => {
    const [composed, decomposed] = ['café', 'café'].map((name, i) => name.normalize(i === 0 ? 'NFC' : 'NFD'));
    expect(composed).not.toBe(decomposed);
    const [one, other] = await Promise.all([
      read({ nodes: [{}] }, composed),
      read({ nodes: [{}] }, decomposed),
    ]);
    expect(other).toEqual({ ...one, locate: expect.any(Function) });
    expect(one.space.name).toBe('café'.normalize('NFC'));
  });
});
