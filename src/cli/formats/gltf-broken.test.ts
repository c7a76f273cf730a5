import { describe, expect, it } from 'vitest';
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

describe('reading broken glTF names the file, the node and the error', () => {
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
      'node 0: is its own ancestor (child → parent): node 0 → node 2 → node 1 "b" → node 0',
    ],
    [
      'itself as a child',
      { nodes: [{ children: [0] }] },
      'node 0: is its own ancestor (child → parent): node 0 → node 0',
    ],
    [
      'a child that is not there',
      { nodes: [{ name: 'x', children: [5] }] },
      'node 0 "x": child 5 does not exist: the file has 1 node',
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
      'node 0: properties/extras/a must not contain a NUL character or a broken Unicode character (lone surrogate)',
    ],
    ['extras too deep', { nodes: [{ extras: deepExtras }] }, 'levels of nested objects'],
    [
      'extras too large',
      { nodes: [{}, { name: 'big', extras: 'x'.repeat(70_000) }] },
      'node 1 "big": properties must use at most 65536 bytes in the database, not 700',
    ],
    [
      'a scene of a node that is not there',
      { scenes: [{ nodes: [1] }], nodes: [{}] },
      'scene 0: node 1 does not exist: the file has 1 node',
    ],
    [
      'a scene that is not there',
      { scene: 1, scenes: [{}], nodes: [{}] },
      'scene 1 does not exist: the file has 1 scene',
    ],
    ['nodes by name', { nodes: { a: {} } }, 'nodes must be a list'],
    [
      'glTF 1.0',
      { asset: { version: '1.0' }, nodes: { a: {} } },
      'is glTF 1.0, which is not read: convert it to glTF 2.0 first',
    ],
    [
      'glTF 1 as a number',
      { asset: { version: 1 }, scene: 's', nodes: {} },
      'is glTF 1, which is not read: convert it',
    ],
    [
      'glTF 1 without an asset',
      { asset: undefined, nodes: { a: {} } },
      'is glTF 1, which is not read: convert it',
    ],
    ['glTF 3', { asset: { version: '3.0' }, nodes: [{}] }, 'is glTF 3.0; version 2.0 can be imported'],
    [
      'a version that is a number',
      { asset: { version: 2 } },
      'asset.version must be text such as "2.0", not 2',
    ],
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
    expect(message).toBe(
      'town.gltf: node 0: properties/extras/far must be a number in the range of a 64-bit float (double)',
    );
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

  it('may be padded with NUL, as many programs do', async () => {
    for (const padding of ['\0', '\0\0\0']) {
      const padded = encode({ asset: ASSET, nodes: [{ name: 'only' }] });
      expect((await readGlb(glb(Buffer.concat([padded, Buffer.from(padding)])))).objects).toBe(1);
    }
    const inside = Buffer.concat([Buffer.from('{"asset":'), Buffer.from('\0'), Buffer.from('{}}')]);
    expect((await failure(readGlb(glb(inside)))).message).toContain('is not valid JSON: line 1, column 10');
  });

  it('is read from the middle of a larger buffer', async () => {
    const bytes = glb(json);
    const larger = Buffer.concat([Buffer.from('xyz'), bytes]);
    expect((await readGlb(larger.subarray(3))).objects).toBe(1);
  });

  it.each<[string, Uint8Array, string]>([
    ['cut off', glb(json).subarray(0, -4), 'a.glb: is cut off: its header says'],
    ['cut off in its header', glb(json).subarray(0, 11), 'a.glb: is a binary glTF cut off after 11 bytes'],
    [
      'version 1',
      glb(json, { version: 1 }),
      'a.glb: is binary glTF 1, which is not read: convert it to glTF 2.0',
    ],
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
