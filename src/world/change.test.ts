import { describe, expect, it } from 'vitest';
import { readLiveMessage, readSeqText, replacesWorld, toChange, writeEvent } from './change.ts';

const OPS = '[{"op":"patch","id":"a","properties":{"n":1e308,"list":[]}}]';

describe('[R1] a published message', () => {
  it.each([null, 'ann', 'a"b\\'])('is read as in the log, with the same operations: by %s', (actor) => {
    const change = toChange({ seq: 12, prev: 7, actor, ops: OPS });
    expect(change).toEqual({
      seq: 12,
      prev: 7,
      replacesWorld: false,
      text: `{"seq":12,"prev":7,"actor":${JSON.stringify(actor)},"ops":${OPS}}`,
    });
    expect(readLiveMessage(change.text)).toEqual({ kind: 'change', change });
  });

  it('says that a saved world replaces the space, and only then', () => {
    const stage = JSON.stringify([{ op: 'stage', id: 's', mode: 'replace' }]);
    expect(replacesWorld(stage)).toBe(true);
    expect(readLiveMessage(toChange({ seq: 2, prev: 1, actor: null, ops: stage }).text)).toMatchObject({
      change: { replacesWorld: true },
    });
    const lookalike = JSON.stringify([{ op: 'patch', id: 'stage', name: '{"op":"stage",' }]);
    expect(replacesWorld(lookalike)).toBe(false);
    expect(
      readLiveMessage(toChange({ seq: 2, prev: 1, actor: '"ops":[{"op":"stage",', ops: OPS }).text),
    ).toMatchObject({ change: { replacesWorld: false } });
  });

  it('may be about commits, presence, the deletion of the space, or an unknown kind', () => {
    expect(readLiveMessage('{"committed":1795342742930000}')).toEqual({
      kind: 'committed',
      seq: 1_795_342_742_930_000,
    });
    expect(readLiveMessage('{"presence":{"joined":"ann"}}')).toEqual({
      kind: 'presence',
      text: '{"joined":"ann"}',
    });
    expect(readLiveMessage('{"retired":true}')).toEqual({ kind: 'retired' });
    for (const other of [
      '',
      '{}',
      '{"seq":1}',
      '{"chat":{}}',
      '{"committed":-1}',
      '{"committed":1,"by":2}',
      'nonsense',
    ])
      expect(readLiveMessage(other)).toBeNull();
  });
});

describe('a server-sent event', () => {
  it('has its id, and no line of its data ends it early', () => {
    expect(writeEvent('change', '{"a":1}', 5)).toBe('event: change\nid: 5\ndata: {"a":1}\n\n');
    expect(writeEvent('presence', '{\n"a":\r\n1}')).toBe(
      'event: presence\ndata: {\ndata: "a":\ndata: 1}\n\n',
    );
  });
});

it('a seq is a whole number that a double can hold', () => {
  expect(['0', '1795342742930000'].map(readSeqText)).toEqual([0, 1_795_342_742_930_000]);
  for (const text of ['', '-1', '1.5', '1e3', ' 1', '9'.repeat(16), '1'.repeat(17)])
    expect(readSeqText(text)).toBeNull();
});
