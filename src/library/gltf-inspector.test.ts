import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeGlb } from '../../test/http/glb.ts';
import { AppError } from '../world/errors.ts';
import { GltfInspector } from './gltf-inspector.ts';

/** @param cuts where the file is cut into chunks */
function inspect(file: Uint8Array, cuts: readonly number[] = []): unknown {
  const inspector = new GltfInspector(file.length);
  try {
    const places = [...new Set(cuts.map((cut) => cut % (file.length + 1)))].sort((a, b) => a - b);
    for (const [i, from] of [0, ...places].entries()) inspector.push(file.subarray(from, places[i]));
    return inspector.finish();
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'invalid_file') throw error;
    return error.message;
  }
}

const textOf = (json: object) => new TextEncoder().encode(JSON.stringify(json));
const TRIANGLE = {
  accessors: [{ componentType: 5126, count: 6, type: 'VEC3', min: [-1, 0, 0], max: [1, 1, 0] }],
  meshes: [{ primitives: [{ attributes: { POSITION: 0 } }] }],
};

describe('the inspection of a glTF file', () => {
  it('[A5] gives the same result, however the file is cut into chunks', () => {
    const file = makeGlb({ filler: 50 });
    const whole = inspect(file);
    expect(whole).toMatchObject({ contentType: 'model/gltf-binary', details: { triangles: 1 } });
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 8 }), (cuts) => {
        expect(inspect(file, cuts)).toEqual(whole);
      }),
    );
  });

  it('[A5] ends with a summary or a clear refusal for every damaged file', () => {
    let refused = 0;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.option(fc.nat(600)),
        fc.array(fc.nat(), { maxLength: 3 }),
        (changes, length, cuts) => {
          const file = makeGlb();
          for (const [at, byte] of changes) file[at % file.length] = byte;
          const damaged = file.subarray(0, length === null ? file.length : length % file.length);
          const result = inspect(damaged, cuts);
          if (typeof result === 'string') refused++;
          expect(inspect(damaged)).toEqual(result);
        },
      ),
      { numRuns: 500 },
    );
    expect(refused).toBeGreaterThan(100);
  });

  it('[A5] refuses a lie as soon as its bytes are there', () => {
    const inspector = new GltfInspector(600 * 1024 * 1024);
    const head = new Uint8Array(20);
    const view = new DataView(head.buffer);
    for (const [i, word] of [0x46546c67, 2, 600 * 1024 * 1024, 500 * 1024 * 1024, 0x4e4f534a].entries())
      view.setUint32(4 * i, word, true);
    expect(() => inspector.push(head)).toThrow('The JSON chunk declares 524288000 bytes');
  });

  it('counts each instance of a mesh in the default scene, and transforms its box', () => {
    const nodes = [
      { children: [1, 2], scale: [2, 2, 2] },
      { mesh: 0, translation: [10, 0, 0] },
      { mesh: 0, rotation: [0, 0, Math.SQRT1_2, Math.SQRT1_2] },
      { mesh: 0, translation: [1_000, 0, 0] },
    ];
    const json = { asset: { version: '2.0' }, ...TRIANGLE, nodes, scene: 0, scenes: [{ nodes: [0] }] };
    const { details } = inspect(textOf(json)) as { details: Record<string, unknown> };
    expect(details).toMatchObject({ format: 'gltf', nodes: 4, triangles: 4, generator: null });
    const { min, max } = details.boundingBox as Record<'min' | 'max', { x: number; y: number; z: number }>;
    expect([min.x, min.y, min.z].map((value) => Math.round(value * 1e9) / 1e9)).toEqual([-2, -2, 0]);
    expect([max.x, max.y, max.z].map((value) => Math.round(value * 1e9) / 1e9)).toEqual([22, 2, 0]);
  });

  it('shows a node once, also if its scene and its parent both name it', () => {
    const nodes = [{ children: [1] }, { mesh: 0 }];
    const json = { asset: { version: '2.0' }, ...TRIANGLE, nodes, scenes: [{ nodes: [0, 1] }] };
    expect(inspect(textOf(json))).toMatchObject({ details: { triangles: 2 } });
  });

  it('joins the bounds of a mesh with many primitives', () => {
    const accessors = Array.from({ length: 40 }, (_, i) => ({
      ...TRIANGLE.accessors[0],
      min: [i, 0, 0],
      max: [i + 1, 1, 0],
    }));
    const primitives = accessors.map((_, i) => ({ attributes: { POSITION: i } }));
    const json = {
      asset: { version: '2.0' },
      accessors,
      meshes: [{ primitives }],
      nodes: [{ mesh: 0, translation: [1, 0, 0] }],
      scenes: [{ nodes: [0] }],
    };
    expect(inspect(textOf(json))).toMatchObject({
      details: { triangles: 80, boundingBox: { min: { x: 1, y: 0, z: 0 }, max: { x: 41, y: 1, z: 0 } } },
    });
  });

  it('keeps the name of the generator as Postgres accepts it', () => {
    const generator = `${'x'.repeat(255)}😀y\0`;
    const json = { asset: { version: '2.0', generator } };
    expect(inspect(textOf(json))).toMatchObject({ details: { generator: `${'x'.repeat(255)}😀` } });
    expect(inspect(textOf({ asset: { version: '2.0', generator: 'a\0b' } }))).toMatchObject({
      details: { generator: 'ab' },
    });
  });

  it.each([
    ['has 65 names, and at most 64', Array.from({ length: 65 }, (_, i) => `EXT_${i}`)],
    ['/extensionsUsed/0 must be 1 to 64 letters', ['x'.repeat(65)]],
    ['/extensionsUsed/0 must be 1 to 64 letters', ['a\0']],
  ])('refuses a list of extensions: %s', (message, extensionsUsed) => {
    expect(inspect(textOf({ asset: { version: '2.0' }, extensionsUsed }))).toContain(message);
  });

  it('refuses an accessor that asks for much memory without data', () => {
    const accessors = [{ componentType: 5126, count: 100_001, type: 'VEC3', min: [0, 0, 0], max: [0, 0, 0] }];
    const message = 'has 100001 elements without data, at most 100000';
    expect(inspect(textOf({ asset: { version: '2.0' }, accessors }))).toContain(message);
    const [accessor] = accessors;
    const fitting = [{ ...accessor, count: 100_000 }];
    expect(inspect(textOf({ asset: { version: '2.0' }, accessors: fitting }))).toMatchObject({ details: {} });
  });

  it.each([
    ['a long version', { version: `2.${'0'.repeat(50_000)}` }],
    ['another long version', { version: '9'.repeat(50_000) }],
  ])('refuses %s without repeating it', (_, asset) => {
    expect(String(inspect(textOf({ asset }))).length).toBeLessThan(300);
  });

  it.each([
    ['', 'The file is not glTF: it begins with the bytes', 'hello'],
    ['no asset', '/asset/version is undefined', {}],
    [
      'two parents',
      '/nodes/2 has two parents: 0 and 1',
      { nodes: [{ children: [2] }, { children: [2] }, {}] },
    ],
    ['a list that is none', '/meshes must be a list', { meshes: 7 }],
    [
      'an infinite number',
      '/nodes/0/translation must be a list of 3 numbers',
      { nodes: [{ translation: [0, 0] }] },
    ],
    [
      'data that is too short',
      '/buffers/0/byteLength is 9, but the data has 3 bytes',
      { buffers: [{ byteLength: 9, uri: 'data:;base64,AAAA' }] },
    ],
    [
      'a buffer in another file',
      '/buffers/0/uri names another file',
      { buffers: [{ byteLength: 9, uri: 'a.bin' }] },
    ],
    ['a buffer without data', '/buffers/0 has no data', { buffers: [{ byteLength: 9 }] }],
    ['a later version', '/asset/minVersion is "2.1"', { asset: { version: '2.1', minVersion: '2.1' } }],
    [
      'an unknown sampler',
      '/animations/0/channels/0/sampler names 1, but there are only 0 samplers',
      { animations: [{ channels: [{ sampler: 1, target: {} }] }] },
    ],
  ])('[A5] names the place of %s', (_, message, json) => {
    const whole =
      typeof json === 'string'
        ? json
        : JSON.stringify(
            json === null
              ? json
              : { ...(message.startsWith('/asset/version') ? {} : { asset: { version: '2.0' } }), ...json },
          );
    expect(inspect(new TextEncoder().encode(whole))).toContain(message);
  });

  it('reads a .gltf with a byte order mark, and JSON that is filled with NUL', () => {
    const json = JSON.stringify({ asset: { version: '2.0' } });
    expect(inspect(new TextEncoder().encode(`\ufeff${json}`))).toMatchObject({ details: { nodes: 0 } });
    expect(inspect(new TextEncoder().encode(`${json}\0\0`))).toMatchObject({ details: { nodes: 0 } });
  });
});
