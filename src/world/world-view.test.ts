import fc from 'fast-check';
import { expect, it } from 'vitest';
import { NO_MESSAGES } from './chat-window.ts';
import { orderMembers } from './member-order.ts';
import type { LogEntry } from './operation.ts';
import { anyHistory, anyProperties, readWorld } from './operation-testing.ts';
import { copyWorld, type ReplayWorld, replay } from './replay.ts';
import { seqToTime } from './seq-time.ts';
import type { WorldObject } from './types.ts';
import { WorldView } from './world-view.ts';

const SPACE = { spaceId: 'main', loadedMs: 0 };

function openView(world: ReplayWorld, seq: number): WorldView {
  const { objects, avatars } = copyWorld(world);
  const texts = [...objects.values()].map(({ createdSeq, ...object }): [string, string] => {
    const times = { createdAt: seqToTime(createdSeq), updatedAt: seqToTime(object.seq) };
    return [object.id, JSON.stringify({ spaceId: 'main', ...object, ...times } satisfies WorldObject)];
  });
  return new WorldView({ ...SPACE, seq }, new Map(texts), avatars, NO_MESSAGES);
}

/** The content of a view, in the form that `readWorld` gives a replayed world. */
function readView(view: WorldView): object {
  const objects = view.listTexts().map((text) => {
    const { spaceId, createdAt, updatedAt, ...object } = JSON.parse(text) as WorldObject;
    expect([spaceId, updatedAt]).toEqual(['main', seqToTime(object.seq)]);
    return object;
  });
  const avatars = [...view.avatars.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  return { objects, avatars };
}

function readReplayed(world: ReplayWorld): object {
  const { objects, avatars } = readWorld(world) as { objects: { createdSeq: number }[]; avatars: object[] };
  return { objects: objects.map(({ createdSeq, ...object }) => object), avatars };
}

it('[S1e] shows the world that a replay gives, for entries in any pieces and repeated entries', () => {
  fc.assert(
    fc.property(anyHistory({ isConditional: true }), fc.array(fc.nat(12)), ({ start, entries }, cuts) => {
      const whole = { ...copyWorld(start), people: null };
      replay(whole, entries);
      const view = openView(start, 10);
      for (const cut of [...cuts.sort((a, b) => a - b), entries.length]) {
        expect(view.fold(entries.slice(0, cut))).toEqual({ status: 'folded' });
        view.fold(entries.slice(Math.max(0, cut - 3), cut));
      }
      expect(view.seq).toBe(entries.at(-1)?.seq);
      expect(readView(view)).toEqual(readReplayed(whole));
    }),
    { numRuns: 300 },
  );
});

it('[L7] stops before a staged world, and has all entries before it', () => {
  const view = new WorldView({ ...SPACE, seq: 1 }, new Map(), new Map(), NO_MESSAGES);
  const entry = (seq: number, ops: LogEntry['ops']) => ({
    seq,
    prev: seq - 1,
    actor: null,
    ops,
    waits: false,
  });
  const entries = [
    entry(2, [{ op: 'put', id: 'a' }]),
    entry(3, [{ op: 'stage', id: 's', mode: 'replace' }]),
    entry(4, [{ op: 'put', id: 'b' }]),
  ];
  expect(view.fold(entries)).toEqual({ status: 'reload', seq: 3 });
  expect([view.seq, view.objects]).toEqual([2, 1]);
  expect(view.fold(entries)).toEqual({ status: 'reload', seq: 3 });
});

it('counts the characters of its objects', () => {
  const view = new WorldView({ ...SPACE, seq: 1 }, new Map(), new Map(), NO_MESSAGES);
  const ops = [
    { op: 'put' as const, id: 'a', properties: { x: 'é' } },
    { op: 'put' as const, id: 'b' },
  ];
  view.fold([{ seq: 2, prev: 1, actor: null, ops, waits: false }]);
  view.fold([{ seq: 3, prev: 2, actor: null, ops: [{ op: 'delete', id: 'b' }], waits: false }]);
  view.fold([{ seq: 4, prev: 3, actor: 'x', ops: [{ op: 'patch', id: 'a', name: 'A' }], waits: false }]);
  expect(view.characters).toBe(view.listTexts().join('').length);
});

it('orders members as Postgres prints them, shorter first, and changes no value', () => {
  expect(JSON.stringify(orderMembers({ bb: 1, a: { z: 0, y: [{ d: 1, c: 2 }] }, é: 2, b: 3 }))).toBe(
    '{"a":{"y":[{"c":2,"d":1}],"z":0},"b":3,"bb":1,"é":2}',
  );
  fc.assert(fc.property(anyProperties, (value) => void expect(orderMembers(value)).toEqual(value)));
});
