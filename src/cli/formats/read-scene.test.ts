import { describe, expect, it } from 'vitest';
import { checkWorld } from '../../world/world-input.ts';
import { readScene } from './read-scene.ts';
import { SceneError } from './scene.ts';

const SOURCE = { file: 'folder/world.json', stem: 'world' };

function read(content: unknown) {
  const bytes =
    content instanceof Uint8Array
      ? content
      : new TextEncoder().encode(typeof content === 'string' ? content : JSON.stringify(content));
  return readScene(bytes, SOURCE);
}

async function messageOf(content: unknown): Promise<string> {
  const error = await read(content).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SceneError);
  return (error as SceneError).message;
}

describe('a state', () => {
  const object = { id: 'a', rotation: { x: 0, y: 0, z: 0, w: 3 }, seq: 5, spaceId: 'old' };
  const state = {
    space: { id: 'old', name: 'Old town', description: 'there', settings: { sky: 1 }, bounds: null, seq: 9 },
    seq: 9,
    durableSeq: 9,
    objects: [object, { id: 'b' }],
    users: [],
    models: [{ id: 'm', name: 'm', url: 'https://example.org/m.glb' }],
    media: [],
    chat: [{ id: 'c', text: 'hello' }],
  };

  it('is passed on as it is, without what it says about itself', async () => {
    const { space: _, seq: __, durableSeq: ___, ...world } = state;
    expect(await read(state)).toMatchObject({
      format: 'state',
      world,
      objects: 2,
      normalisedRotations: 1,
      space: { name: 'Old town', description: 'there', settings: { sky: 1 } },
    });
  });

  it.each<[string, unknown, string]>([
    ['an id twice', { objects: [{ id: 'a' }, { id: 'a' }] }, 'object 1 "a": id appears more than once: a'],
    ['an id of 129 characters', { objects: [{ id: 'a'.repeat(129) }] }, 'object 0'],
    [
      'a number that is text',
      { objects: [{ id: 'a', scale: { x: '1', y: 1, z: 1 } }] },
      'object 0 "a": scale/x ',
    ],
    [
      'a rotation of nothing',
      { objects: [{ id: 'a', rotation: { x: 0, y: 0, z: 0, w: 0 } }] },
      'object 0 "a": rotation must not contain only zeros',
    ],
    [
      'a message too long',
      { objects: [], chat: [{ id: 'm', text: 'x'.repeat(4001) }] },
      'message 0 "m": text must have at most 4000 characters, not 4001',
    ],
    ['an unknown member', { objects: [], doors: [] }, 'doors is not a known field'],
    [
      '__proto__ among the properties',
      '{"objects":[{"id":"a","properties":{"__proto__":1}}]}',
      'object 0 "a": properties/__proto__ must not be a field name',
    ],
  ])('refuses %s', async (_, content, what) => {
    expect(await messageOf(content)).toContain(`folder/world.json: ${what}`);
  });
});

describe('a backup of an in-memory server', () => {
  it('is passed on as it is', async () => {
    const backup = {
      objects: { a: { position: { x: 1, y: 2, z: 3 } }, b: { rotation: { x: 0, y: 0, z: 0, w: 9 } } },
      models: { m: { url: 'https://example.org/m.glb' } },
      chatHistory: [{ id: 'c', text: 'hello' }],
    };
    expect(await read(backup)).toMatchObject({
      format: 'backup',
      world: backup,
      objects: 2,
      normalisedRotations: 1,
      notPreserved: [],
      space: { name: 'world' },
    });
  });

  it('may have ids that other programs take for numbers or members of their own', async () => {
    const ids = ['constructor', 'hasOwnProperty', '007', '1e3', 'A.', 'a:b', 'null', '-1', '.a', '...a'];
    const { world } = await read({ objects: Object.fromEntries(ids.map((id) => [id, {}])) });
    expect(checkWorld(world).objects.map(({ id }) => id)).toEqual(ids);
  });

  it('counts rotations that are lists, and members of models and messages that have no place here', async () => {
    const { normalisedRotations, notPreserved } = await read({
      objects: { a: { rotation: [0, 0, 0, 2] }, b: { rotation: [1, 2, 3] } },
      models: {
        m: { path: '/a b.glb', thumbnail: 'm.png', tags: null },
        n: { url: '/n.glb', path: '/old.glb' },
      },
      chatHistory: [
        { id: 'c', message: 'hello', colour: 'red' },
        { id: 'd', text: 'yes', colour: 'blue' },
      ],
    });
    expect(normalisedRotations).toBe(1);
    expect(notPreserved).toEqual([
      { kind: '"thumbnail" of models', count: 1 },
      { kind: '"path" of models', count: 1 },
      { kind: '"colour" of messages', count: 2 },
    ]);
  });

  it.each<[string, unknown, string]>([
    [
      'an object of another id',
      { objects: { a: { id: 'b' } } },
      'object "a": id must be the same as the key of this object',
    ],
    ['a bad position', { objects: { a: {}, b: { position: { x: 1 } } } }, 'object "b": position/y '],
    ['an object that is a number', { objects: { a: 4 } }, 'object "a": '],
    [
      'an id twice',
      '{"objects":{"a":{},"a":{}}}',
      'is not valid JSON: line 1, column 20: the member "a" is there twice',
    ],
    ['a model without an address', { objects: {}, models: { m: {} } }, 'model "m": url '],
    [
      'an id of dots alone',
      { objects: { a: {}, '..': {} } },
      'object "..": id must be 1 to 128 characters from A-Z a-z 0-9 . _ : - that are not all dots',
    ],
    [
      'a rotation in an unknown order',
      { objects: { a: {}, b: { rotation: { x: 1, y: 2, z: 3, order: 'XYX' } } } },
      'object "b": rotation/order must be one of XYZ, YXZ, ZXY, ZYX, YZX, XZY',
    ],
  ])('refuses %s', async (_, content, what) => {
    expect(await messageOf(content)).toContain(`folder/world.json: ${what}`);
  });
});

describe('what is no scene', () => {
  it.each<[string, unknown, string]>([
    ['nothing', new Uint8Array(), 'is empty'],
    ['white space', ' \n ', 'holds nothing but white space'],
    ['text', 'hello', 'is text, but no scene that is known here: glTF (.glb, .gltf)'],
    ['a list that is not JSON', '[hello]', 'is not valid JSON: line 1, column 2: this is not a JSON value'],
    [
      'half of it',
      '{"objects": [\n  {"id": "a"',
      'is not valid JSON: line 2, column 13: the JSON ends too early',
    ],
    ['other JSON', { hello: 1 }, 'is JSON, but no scene that is known here'],
    ['a list', [], 'is JSON, but no scene that is known here'],
    ['glTF without its asset', { nodes: [{}] }, 'has no asset.version'],
    [
      'a picture',
      Buffer.from('89504e470d0a1a0a0000000d', 'hex'),
      'is binary, but no scene that is known here',
    ],
    [
      'Latin 1',
      Buffer.from('{"name":"caf\xe9"}', 'latin1'),
      'is not UTF-8 text: byte 13 (0xe9) begins no character',
    ],
    ['a character cut in two', Buffer.from('{"name":"é').subarray(0, -1), 'is not UTF-8 text: byte 10'],
  ])('%s', async (_, content, what) => {
    expect(await messageOf(content)).toContain(`folder/world.json: ${what}`);
  });

  it('a byte order mark is no fault', async () => {
    expect((await read('\ufeff{"objects":[]}')).objects).toBe(0);
  });
});
