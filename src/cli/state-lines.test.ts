import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../world/types.ts';
import { StateReader, writeWorldLines } from './state-lines.ts';

const WORLD: JsonObject = {
  objects: [{ id: 'a' }, { id: 'b', name: 'B' }],
  users: [{ id: 'ada', displayName: 'Ada' }],
  models: [{ id: 'm', url: 'https://models.example/m.glb' }],
  chat: [{ id: 'c', text: 'hello', kind: 'emote' }],
};

function linesOf(bytes: Uint8Array): JsonObject[] {
  return Buffer.from(bytes)
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function readBack(lines: readonly object[], pieceBytes = 7): JsonObject {
  const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const reader = new StateReader();
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.read(bytes.subarray(at, at + pieceBytes));
  return JSON.parse(Buffer.from(reader.finish()).toString());
}

describe('a world as lines', () => {
  it('has every item on a line of its kind, and an end that counts', () => {
    const lines = linesOf(writeWorldLines(WORLD).bytes);
    expect(lines.map(({ kind, id }) => [kind, id])).toEqual([
      ['object', 'a'],
      ['object', 'b'],
      ['user', 'ada'],
      ['model', 'm'],
      ['chat', 'c'],
      ['end', undefined],
    ]);
    expect(lines.at(-2)).toMatchObject({ messageKind: 'emote' });
    expect(lines.at(-1)).toEqual({ kind: 'end', counts: { object: 2, user: 1 } });
    const silent = linesOf(writeWorldLines({ objects: [] }).bytes);
    expect(silent).toEqual([{ kind: 'end', counts: { object: 0 } }]);
  });

  it('knows which item a line was', () => {
    const { locate } = writeWorldLines(WORLD);
    const at = (path: string) => locate({ path, message: '' }).path;
    expect(['/1/id', '/2/position/x', '/3', '/5/text', ''].map(at)).toEqual([
      '/objects/0/id',
      '/objects/1/position/x',
      '/users/0',
      '/chat/0/text',
      '',
    ]);
  });
});

describe('a state read from lines', () => {
  const space = { kind: 'space', id: 's', name: 'S', seq: 1, durableSeq: 1 };
  const end = { kind: 'end', seq: 9, rev: 1, counts: {} };

  it('is what the lines say at their end', () => {
    const state = readBack([
      space,
      { kind: 'object', id: 'c', n: 1 },
      { kind: 'object', id: 'a', n: 1 },
      { kind: 'moved', seq: 9 },
      { ...space, name: 'Renamed', seq: 9, durableSeq: 9 },
      { kind: 'gone', id: 'c' },
      { kind: 'object', id: 'b', n: 2 },
      { kind: 'object', id: 'a', n: 2 },
      { kind: 'chat', messageKind: 'text', id: 'm', userId: null, text: 'hö' },
      end,
    ]);
    expect(state).toEqual({
      space: { id: 's', name: 'Renamed', seq: 9 },
      seq: 9,
      durableSeq: 9,
      objects: [
        { id: 'a', n: 2 },
        { id: 'b', n: 2 },
      ],
      users: [],
      models: [],
      media: [],
      chat: [{ id: 'm', userId: null, text: 'hö', kind: 'text' }],
    });
  });

  it('is refused without its end, and with what the server says where it broke off', () => {
    expect(() => readBack([space, { kind: 'object', id: 'a' }])).toThrow('cut off');
    const error = { kind: 'error', code: 'state_unsettled', detail: 'Replaced.', requestId: 'r1' };
    expect(() => readBack([space, error])).toThrow('the server broke off: Replaced.');
    expect(() => readBack([space, ['object']])).toThrow('a line that is none');
  });
});
