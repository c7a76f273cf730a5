import { describe, expect, it } from 'vitest';
import { byId, contentOf, readDocument, stateOf } from '../testing/round-trip.ts';
import { createBufferLoader } from './gltf-buffers.ts';
import { readScene } from './read-scene.ts';
import { writeGltf } from './write-gltf.ts';

const TRANSLATIONS = [
  [1, 2, 3],
  [4, 5, 6],
  [-7, 0.5, 0],
];
/** Half a turn about y, a turn of nothing, a quarter turn about x: as normalised bytes of 127 for 1. */
const ROTATIONS = [0, 127, 0, 0, 0, 0, 0, 127, 90, 0, 0, 90];
const BYTES = Buffer.concat([
  Buffer.from(new Float32Array(TRANSLATIONS.flat()).buffer),
  Buffer.from(new Int8Array(ROTATIONS).buffer),
]);
const URI = `data:application/octet-stream;base64,${BYTES.toString('base64')}`;
const LOST = { kind: 'instances (EXT_mesh_gpu_instancing)', count: 3 };

type Json = Record<string, unknown>;

function instanced({ buffer = { uri: URI }, rotation = {}, attributes = {} }: Record<string, Json> = {}) {
  return {
    asset: { version: '2.0' },
    extensionsUsed: ['EXT_mesh_gpu_instancing'],
    nodes: [
      { name: 'forest', children: [1], translation: [0, 10, 0] },
      {
        name: 'trees',
        mesh: 0,
        extensions: {
          VENDOR_other: { a: true },
          EXT_mesh_gpu_instancing: { attributes: { TRANSLATION: 0, ROTATION: 1, ...attributes } },
        },
      },
    ],
    meshes: [{ name: 'tree', primitives: [] }],
    accessors: [
      { componentType: 5126, count: 3, type: 'VEC3', bufferView: 0 },
      { componentType: 5120, normalized: true, count: 3, type: 'VEC4', bufferView: 1, ...rotation },
    ],
    bufferViews: [
      { buffer: 0, byteLength: 36 },
      { buffer: 0, byteOffset: 36, byteLength: 12 },
    ],
    buffers: [{ byteLength: BYTES.length, ...buffer }],
  };
}

const kindsOf = ({ notPreserved }: { notPreserved: readonly { kind: string }[] }) =>
  notPreserved.map(({ kind }) => kind);

describe('instances of a mesh', () => {
  it('become an object each below their node, with its mesh', async () => {
    const scene = await readDocument(instanced());
    expect(kindsOf(scene)).toEqual(['meshes', 'accessors', 'bufferViews', 'buffers']);
    const state = stateOf(scene);
    const objects = byId(state.objects);
    expect(Object.keys(objects)).toEqual(['town:0', 'town:1', 'town:2', 'town:3', 'town:4']);
    expect(objects['town:1']).toMatchObject({
      parentId: 'town:0',
      properties: { gltf: { node: 1, extensions: { VENDOR_other: { a: true } } } },
    });
    for (const [i, [x, y, z]] of TRANSLATIONS.entries())
      expect(objects[`town:${2 + i}`]).toMatchObject({
        parentId: 'town:1',
        position: { x, y, z },
        properties: { gltf: { node: 1, instance: i, mesh: { index: 0, name: 'tree' } } },
      });
    expect(objects['town:2']).toMatchObject({ rotation: { x: 0, y: 1, z: 0, w: 0 } });
    expect(JSON.stringify(objects['town:1'])).not.toContain('EXT_mesh_gpu_instancing');
    const again = stateOf(await readDocument(writeGltf(state).json));
    expect(contentOf(again)).toEqual(contentOf(state));
  });

  it('are read from the binary chunk, and from a file near the scene', async () => {
    const text = Buffer.from(JSON.stringify(instanced({ buffer: {} })));
    const padded = Buffer.concat([text, Buffer.alloc((4 - (text.length % 4)) % 4, ' ')]);
    const words = (...values: number[]) => Buffer.from(new Uint32Array(values).buffer);
    const glb = Buffer.concat([
      words(0x46546c67, 2, 12 + 8 + padded.length + 8 + BYTES.length),
      ...[words(padded.length, 0x4e4f534a), padded],
      ...[words(BYTES.length, 0x004e4942), BYTES],
    ]);
    expect((await readScene(glb, { file: 'a.glb', stem: 'a' })).objects).toBe(5);
    const asked: string[] = [];
    const readNear = async (path: string) => {
      asked.push(path);
      return BYTES;
    };
    const near = new TextEncoder().encode(JSON.stringify(instanced({ buffer: { uri: 'my%20trees.bin' } })));
    expect((await readScene(near, { file: 'a.gltf', stem: 'a', readNear })).objects).toBe(5);
    expect(asked).toEqual(['my trees.bin']);
  });

  it.each<[string, Parameters<typeof instanced>[0]]>([
    ['their buffer is not there', { buffer: { uri: 'gone.bin' } }],
    ['their buffer is too short', { buffer: { uri: URI.slice(0, -8) } }],
    ['they are sparse', { rotation: { sparse: {} } }],
    ['a number is of another type', { rotation: { type: 'VEC3' } }],
    ['an accessor is not there', { attributes: { SCALE: 9 } }],
    ['they have attributes that no object has', { attributes: { _COLOR: 0 } }],
  ])('stay one object with the extension where %s, and are counted', async (_, options) => {
    const scene = await readDocument(instanced(options));
    expect(scene.objects).toBe(2);
    expect(scene.notPreserved).toContainEqual(LOST);
    const { extensions } = instanced(options).nodes[1] as Json;
    expect(stateOf(scene).objects[1]?.properties.gltf).toMatchObject({ extensions });
  });

  it('are looked for in the scene’s folder and nowhere else', async () => {
    const asked: string[] = [];
    const load = createBufferLoader(null, async (path) => {
      asked.push(path);
      return BYTES;
    });
    const uris = [
      '/etc/passwd',
      '../a.bin',
      'a/../../b',
      '%2e%2e/a',
      'file:///a',
      'https://a.example/b',
      'a\\b',
      '%',
    ];
    for (const [index, uri] of uris.entries()) expect(await load({ uri }, index), uri).toBeNull();
    expect(asked).toEqual([]);
    expect(await load({ uri: 'below/a..b.bin' }, uris.length)).toBe(BYTES);
  });
});
