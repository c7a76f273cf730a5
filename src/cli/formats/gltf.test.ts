import { describe, expect, it } from 'vitest';
import type { ObjectInput } from '../../world/types.ts';
import { readScene } from './read-scene.ts';
import { SceneError } from './scene.ts';

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

/** The message and the node of the error that reading ends with. */
async function failure(promise: Promise<unknown>): Promise<{ message: string; node: string | null }> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SceneError);
  const { message, node } = error as SceneError;
  return { message, node };
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
});

describe('reading broken glTF names the file, the node and what is wrong', () => {
  const deepExtras = JSON.parse(`${'{"a":'.repeat(40)}1${'}'.repeat(40)}`);
  it.each<[string, Json, string]>([
    [
      'two parents',
      { nodes: [{ name: 'a', children: [2] }, { children: [2] }, { name: 'c' }] },
      'node 2 "c": has two parents: node 0 "a" and node 1',
    ],
    ['the same child twice', { nodes: [{ children: [1, 1] }, {}] }, 'node 0: has node 1 as a child twice'],
    [
      'a cycle',
      { nodes: [{ children: [1] }, { name: 'b', children: [2] }, { children: [0] }] },
      'node 0: is its own ancestor: node 0 is a child of node 2 is a child of node 1 "b" is a child of node 0',
    ],
    [
      'itself as a child',
      { nodes: [{ children: [0] }] },
      'node 0: is its own ancestor: node 0 is a child of node 0',
    ],
    [
      'a child that is not there',
      { nodes: [{ name: 'x', children: [5] }] },
      'node 0 "x": child 5 does not exist: the file has 1 nodes',
    ],
    ['children that are no list', { nodes: [{ children: 1 }] }, 'node 0: children must be a list, not 1'],
    [
      'too few numbers',
      { nodes: [{}, { name: 'b', scale: [1, 1] }] },
      'node 1 "b": scale has 2 numbers where 3 are needed',
    ],
    [
      'text for a number',
      { nodes: [{ translation: [0, '1', 0] }] },
      'node 0: translation[1] must be a finite number, not "1"',
    ],
    [
      'null for a number',
      { nodes: [{ rotation: [0, 0, 0, null] }] },
      'node 0: rotation[3] must be a finite number, not null',
    ],
    [
      'a rotation of nothing',
      { nodes: [{ rotation: [0, 0, 0, 0] }] },
      'node 0: rotation is 0 0 0 0, which turns nothing',
    ],
    [
      'no list of numbers',
      { nodes: [{ translation: { x: 1 } }] },
      'node 0: translation must be a list of 3 numbers, not an object',
    ],
    [
      'a matrix of 15',
      { nodes: [{ matrix: new Array(15).fill(1) }] },
      'node 0: matrix has 15 numbers where 16 are needed',
    ],
    [
      'matrix and scale',
      { nodes: [{ matrix: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], scale: [1, 1, 1] }] },
      'node 0: has both matrix and scale, of which glTF allows one',
    ],
    [
      'a projection',
      { nodes: [{ matrix: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, -1, 0, 0, 0, 0] }] },
      'node 0: matrix is no transform: its last row is 0 0 -1 0 where 0 0 0 1 must be',
    ],
    [
      'a mesh that is not there',
      { nodes: [{ mesh: 0 }] },
      'node 0: mesh 0 does not exist: the file has 0 meshes',
    ],
    [
      'a camera of a fraction',
      { cameras: [{}, {}], nodes: [{ camera: 0.5 }] },
      'node 0: camera 0.5 does not exist: the file has 2 cameras',
    ],
    [
      'a light that is not there',
      { nodes: [{ extensions: { KHR_lights_punctual: { light: 1 } } }] },
      'node 0: light 1 does not exist: the file has 0 lights',
    ],
    ['a node that is null', { nodes: [{}, null] }, 'node 1: must be an object, not null'],
    ['a name that is a number', { nodes: [{ name: 4 }] }, 'node 0: name must be text, not 4'],
    [
      'a name that is too long',
      { nodes: [{ name: 'n'.repeat(300) }] },
      `node 0 "${'n'.repeat(56)}...: name must be at most 256 characters`,
    ],
    [
      'NUL in extras',
      { nodes: [{ extras: { a: 'b\0' } }] },
      'node 0: properties/extras/a must not hold NUL or a lone surrogate',
    ],
    ['extras too deep', { nodes: [{ extras: deepExtras }] }, 'levels deep'],
    [
      'extras too large',
      { nodes: [{}, { name: 'big', extras: 'x'.repeat(70_000) }] },
      'node 1 "big": properties must be at most 65536 bytes as stored; it is 700',
    ],
    [
      'a scene of a node that is not there',
      { scenes: [{ nodes: [1] }], nodes: [{}] },
      'scene 0: node 1 does not exist: the file has 1 nodes',
    ],
    [
      'a scene that is not there',
      { scene: 1, scenes: [{}], nodes: [{}] },
      'scene 1 does not exist: the file has 1 scenes',
    ],
    ['no nodes', { nodes: [] }, 'has no nodes: there is nothing to import'],
    ['nodes by name', { nodes: { a: {} } }, 'nodes must be a list'],
    ['glTF 1.0', { asset: { version: '1.0' }, nodes: { a: {} } }, 'is glTF 1.0; version 2.0 can be imported'],
    ['no version', { asset: {}, nodes: [{}] }, 'has no asset.version'],
  ])('%s', async (_, json, what) => {
    const { message } = await failure(read(json));
    expect(message.startsWith('town.gltf: ')).toBe(true);
    expect(message).toContain(what);
  });

  it('a number that no double holds', async () => {
    const text = '{"asset":{"version":"2.0"},"nodes":[{"name":"far","translation":[0,1e400,0]}]}';
    const { message, node } = await failure(
      readScene(new TextEncoder().encode(text), { file: 'town.gltf', stem: 'town' }),
    );
    expect(message).toBe('town.gltf: node 0 "far": translation[1] must be a finite number, not Infinity');
    expect(node).toBe('node 0 "far"');
  });

  it('a number that no double holds among the extras', async () => {
    const text = '{"asset":{"version":"2.0"},"nodes":[{"extras":{"far":-1e400}}]}';
    const { message } = await failure(
      readScene(new TextEncoder().encode(text), { file: 'town.gltf', stem: 'town' }),
    );
    expect(message).toBe('town.gltf: node 0: properties/extras/far must be a number that a double can hold');
  });
});

describe('binary glTF', () => {
  const json = encode({ asset: ASSET, nodes: [{ name: 'only' }], buffers: [{ byteLength: 8 }] });

  /** A .glb with a binary chunk behind, its header as given. */
  function glb(text: Uint8Array, { version = 2, total = 0, type = 0x4e4f534a } = {}): Uint8Array {
    const padded = Buffer.concat([text, Buffer.alloc((4 - (text.length % 4)) % 4, ' ')]);
    const length = 12 + 8 + padded.length + 8 + 8;
    const bytes = Buffer.alloc(length);
    bytes.write('glTF');
    bytes.writeUInt32LE(version, 4);
    bytes.writeUInt32LE(total || length, 8);
    bytes.writeUInt32LE(padded.length, 12);
    bytes.writeUInt32LE(type, 16);
    padded.copy(bytes, 20);
    bytes.writeUInt32LE(8, 20 + padded.length);
    bytes.write('BIN\0', 24 + padded.length);
    return bytes;
  }
  const readGlb = (bytes: Uint8Array) => readScene(bytes, { file: 'a.glb', stem: 'a' });

  it('is known by its content, whatever its name', async () => {
    const scene = await readScene(glb(json), { file: 'scene.data', stem: 'scene' });
    expect(scene).toMatchObject({ format: 'glb', objects: 1, space: { name: 'scene' } });
  });

  it('is read from the middle of a larger buffer', async () => {
    const bytes = glb(json);
    const larger = Buffer.concat([Buffer.from('xyz'), bytes]);
    expect((await readGlb(larger.subarray(3))).objects).toBe(1);
  });

  it.each<[string, Uint8Array, string]>([
    ['cut off', glb(json).subarray(0, -4), 'a.glb: is cut off: its header says'],
    ['cut off in its header', glb(json).subarray(0, 11), 'a.glb: is a binary glTF cut off after 11 bytes'],
    ['version 1', glb(json, { version: 1 }), 'a.glb: is binary glTF version 1; version 2 can be imported'],
    ['another first chunk', glb(json, { type: 1 }), 'a.glb: is a binary glTF whose first chunk is not JSON'],
    ['a chunk longer than the file', glb(json, { total: 24 }), 'whose JSON chunk ends at byte'],
    [
      'broken JSON',
      glb(encode({ asset: ASSET }).subarray(0, -1)),
      'a.glb: is not valid JSON: line 1, column',
    ],
    [
      'another kind of file',
      Buffer.from('PK\x03\x04 a zip'),
      "a.glb: is no binary glTF: it does not begin with the letters 'glTF'",
    ],
  ])('%s', async (_, bytes, what) => {
    expect((await failure(readGlb(bytes))).message).toContain(what);
  });
});
