import { describe, expect, it } from 'vitest';
import { readCursor, writeCursor } from './cursor.ts';
import { AppError } from './errors.ts';
import { checkWorld } from './world-input.ts';

function errorOf(run: () => unknown): AppError {
  try {
    run();
  } catch (error) {
    if (error instanceof AppError) return error;
  }
  throw new Error('nothing was refused');
}

describe('checkWorld', () => {
  it('gives every absent member its default', () => {
    expect(checkWorld({ objects: [{ id: 'a' }] })).toEqual({
      objects: [
        {
          id: 'a',
          name: null,
          modelId: null,
          parentId: null,
          position: { x: 0, y: 0, z: 0 },
          rotation: { x: 0, y: 0, z: 0, w: 1 },
          scale: { x: 1, y: 1, z: 1 },
          properties: {},
          createdBy: null,
          createdAt: null,
        },
      ],
      models: [],
      media: [],
      chat: [],
    });
  });

  it('puts the other members of a backup’s object among its properties', () => {
    const { objects } = checkWorld({
      objects: { a: { id: 'a', type: 'cube', color: 7, properties: { own: true, color: 8 } }, b: {} },
      models: [{ id: 'm', filename: 'm.glb', path: '/m.glb', size: 3 }],
      chatHistory: [{ id: 'c', text: 'hi', timestamp: '2026-01-01T00:00:00Z' }],
    });
    expect(objects.map(({ id, properties }) => [id, properties])).toEqual([
      ['a', { type: 'cube', color: 8, own: true }],
      ['b', {}],
    ]);
  });

  it('encodes characters that no URL may contain in the path of a backup’s model', () => {
    const paths = ['/uploads/My Chair.glb', '/a%20b.glb', '/tab\there.glb', '/ü.glb?v=1'];
    const models = Object.fromEntries(paths.map((path, i) => [`m${i}`, { path }]));
    expect(checkWorld({ objects: {}, models }).models.map(({ url }) => url)).toEqual([
      '/uploads/My%20Chair.glb',
      '/a%20b.glb',
      '/tab%09here.glb',
      '/ü.glb?v=1',
    ]);
  });

  it('gives a message without an id the same one each time', () => {
    const backup = {
      objects: {},
      chatHistory: [
        { text: 'hi', timestamp: 5 },
        { text: 'hi', timestamp: 5 },
      ],
    };
    const ids = checkWorld(backup).chat.map(({ id }) => id);
    expect(new Set(ids).size).toBe(2);
    expect(checkWorld(backup).chat.map(({ id }) => id)).toEqual(ids);
  });

  it.each<[string, unknown, string]>([
    ['no objects at all', { chat: [] }, '/objects'],
    ['null as an object', { objects: [null] }, '/objects/0'],
    ['an unknown member', { objects: [], objcts: [] }, '/objcts'],
    ['a repeated id', { objects: [{ id: 'a' }, { id: 'b' }, { id: 'a' }] }, '/objects/2/id'],
    [
      'a repeated model',
      {
        objects: [],
        models: [
          { id: 'a', url: '/' },
          { id: 'a', url: '/' },
        ],
      },
      '/models/1/id',
    ],
    ['a model without an address', { objects: [], models: [{ id: 'a' }] }, '/models/0/url'],
    ['a bad hash', { objects: [], models: [{ id: 'a', url: '/', sha256: 'AB' }] }, '/models/0/sha256'],
    ['a message too long', { objects: [], chat: [{ id: 'a', text: 'x'.repeat(4_001) }] }, '/chat/0/text'],
    [
      'an invalid time',
      { objects: [], chat: [{ id: 'a', text: '', createdAt: 'now' }] },
      '/chat/0/createdAt',
    ],
    [
      'a time before 1970',
      { objects: [{ id: 'a', createdAt: '0001-01-01T00:00:00Z' }] },
      '/objects/0/createdAt',
    ],
    [
      'a time after 9999',
      { objects: [{ id: 'a', createdAt: '9999-12-31T23:59:59-23:59' }] },
      '/objects/0/createdAt',
    ],
    [
      'an address that is a script',
      { objects: [], models: [{ id: 'a', url: 'JavaScript:x' }] },
      '/models/0/url',
    ],
    [
      'a type with line breaks',
      { objects: [], media: [{ id: 'a', url: '/', contentType: 'x\r\ny' }] },
      '/media/0/contentType',
    ],
    ['a backup’s object under another id', { objects: { a: { id: 'b' } } }, '/objects/a/id'],
    [
      'a backup’s bad number',
      { objects: { a: { position: { x: '1', y: 0, z: 0 } } } },
      '/objects/0/position/x',
    ],
    ['a list', [], ''],
  ])('refuses %s with its path', (_, input, path) => {
    const { code, errors } = errorOf(() => checkWorld(input));
    expect(code).toBe('validation_failed');
    expect(errors[0]?.path).toBe(path);
  });
});

describe('cursors', () => {
  it('give back their id', () => {
    for (const id of ['a', 'A.b_c:d-9', 'x'.repeat(128)]) expect(readCursor(writeCursor(id))).toBe(id);
    expect(readCursor(undefined)).toBe('');
  });

  it('from elsewhere are refused', () => {
    for (const cursor of ['x', '%', btoa('v1:a/b'), btoa('v2:a'), btoa('v1:')])
      expect(errorOf(() => readCursor(cursor)).errors[0]?.path).toBe('/cursor');
  });
});
