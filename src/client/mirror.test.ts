import { expect, it } from 'vitest';
import type { LiveMap } from './live-map.ts';
import { type LocalOperation, Mirror, type MirrorState, type SentChange } from './mirror.ts';
import type { LiveObject, LiveUser } from './types.ts';

const place = { position: { x: 0, y: 0, z: 0 }, rotation: { x: 0, y: 0, z: 0, w: 1 } };
const object = (id: string, name: string, seq: number) => ({
  ...{
    id,
    spaceId: 's',
    name,
    modelId: null,
    parentId: null,
    ...place,
    scale: { x: 1, y: 1, z: 1 },
    properties: {},
    seq,
  },
  ...{
    createdAt: '2026-01-01T00:00:00.000Z',
    updatedAt: '2026-01-01T00:00:00.000Z',
    createdBy: null,
    updatedBy: null,
  },
});
const user = (id: string, seq: number) => ({
  id,
  displayName: id,
  avatarUrl: null,
  ...place,
  properties: {},
  seq,
});
const state = (seq: number, objects: MirrorState['objects'], users: MirrorState['users']): MirrorState => ({
  ...{ seq, durableSeq: seq, objects, users, chat: [] },
});
const own = (n: number, op: LocalOperation['op']): LocalOperation => ({ n, op, seq: null });

/** Follows a map by its events alone. @returns where an event did not fit to the events before it */
function follow<Item extends LiveObject | LiveUser>(map: LiveMap<Item>): string[] {
  const told = new Map<string, Item>(map);
  const wrong: string[] = [];
  map.on('enter', (item) => {
    if (told.has(item.id)) wrong.push(`${item.id} enters again`);
    told.set(item.id, item);
  });
  map.on('change', (item, before) => {
    if (told.get(item.id) !== before) wrong.push(`${item.id} changes from a value that nobody was told`);
    told.set(item.id, item);
  });
  map.on('leave', (before) => {
    if (told.get(before.id) !== before) wrong.push(`${before.id} leaves with a value that nobody was told`);
    told.delete(before.id);
  });
  return wrong;
}

it('a listener of people that changes objects while a world is loaded finds every event in order', () => {
  const mirror = new Mirror();
  mirror.load(state(1, [object('chair', 'a', 1)], []));
  const wrong = follow(mirror.objects);
  let isCalled = false;
  mirror.users.on('enter', () => {
    isCalled = true;
    for (const [n, id] of ['chair', 'lamp'].entries())
      mirror.show(own(n + 1, { op: 'patch', id, name: 'own' }));
  });
  mirror.load(state(2, [object('chair', 'b', 2), object('lamp', 'l', 2)], [user('ann', 2)]));
  expect([isCalled, wrong]).toEqual([true, []]);
});

it('a listener of objects that moves the avatar of the same entry finds every event in order', () => {
  const mirror = new Mirror();
  mirror.load(state(1, [object('chair', 'a', 1)], [user('ann', 1)]));
  const wrong = follow(mirror.users);
  let calls = 0;
  mirror.objects.on('change', () => {
    calls++;
    mirror.show(own(1, { op: 'user.patch', id: 'ann', position: { x: 7, y: 0, z: 0 } }));
  });
  const ops: SentChange['ops'] = [
    { op: 'patch', id: 'chair', name: 'b' },
    { op: 'user.patch', id: 'ann', position: { x: 1, y: 0, z: 0 } },
  ];
  mirror.apply({ seq: 2, actor: null, ops });
  expect([calls, wrong]).toEqual([1, []]);
});

it('a listener of messages that changes an object of the same entry finds every event in order', () => {
  const mirror = new Mirror();
  mirror.load(state(1, [object('chair', 'a', 1)], []));
  const wrong = follow(mirror.objects);
  let calls = 0;
  mirror.chatEvents.on('enter', () => {
    calls++;
    mirror.show(own(1, { op: 'patch', id: 'chair', name: 'own' }));
  });
  const ops: SentChange['ops'] = [
    { op: 'patch', id: 'chair', name: 'b' },
    { op: 'chat.post', id: 'm', userId: null, text: 'Hello', kind: 'text' },
  ];
  mirror.apply({ seq: 2, actor: null, ops });
  expect([calls, wrong]).toEqual([1, []]);
});
