import { expect, it } from 'vitest';
import type { ReplayAvatar } from '../world/replay.ts';
import { WorldView } from '../world/world-view.ts';
import type { SpaceMetadata } from './state-stores.ts';
import { ViewCache } from './view-cache.ts';

const CHARACTERS_MAX = 1_000_000;

const addressOf = (i: number) => ({ tenantId: 't', spaceId: `s${i}` });

const MESSAGE = { id: 'm', userId: null, kind: 'text', seq: 1, createdAt: '', sentMicros: 1 };

function makeHeld(what: { objects?: string; properties?: string; message?: string }) {
  const avatar = { id: 'mia', properties: { text: what.properties ?? '' } } as unknown as ReplayAvatar;
  const objects = new Map(what.objects === undefined ? [] : [['a', what.objects]]);
  const view = new WorldView({ spaceId: 's', seq: 1, loadedMs: 0 }, objects, new Map([['mia', avatar]]), {
    messages: what.message === undefined ? [] : [{ ...MESSAGE, text: what.message }],
    hasOlder: false,
  });
  const metadata = { profiles: new Map(), space: {}, assets: { models: new Map(), media: new Map() } };
  return {
    incarnation: 'i',
    epoch: '0',
    view,
    durableSeq: 1,
    currentMs: 0,
    metadataId: 'a',
    metadata: metadata as unknown as SpaceMetadata,
  };
}

it.each([
  ['objects', { objects: 'x'.repeat(90_000) }, 10],
  ['avatars', { properties: 'x'.repeat(90_000) }, 10],
  ['their messages', { message: 'x'.repeat(90_000) }, 10],
  ['nothing', {}, 400],
])('holds as many views as fit, whatever they are large by: %s', (_, what, most) => {
  const views = new ViewCache(CHARACTERS_MAX);
  const count = 1_000;
  for (let i = 0; i < count; i++) views.put(addressOf(i), makeHeld(what));
  const isHeld = Array.from({ length: count }, (_, i) => views.get(addressOf(i)) !== null);
  const held = isHeld.filter(Boolean).length;
  expect(held).toBeGreaterThan(most / 2);
  expect(held).toBeLessThanOrEqual(most);
  // The views that were added last.
  expect(isHeld.lastIndexOf(false)).toBe(count - held - 1);
});

it('counts a view once, however often it is put, and not when it is dropped', () => {
  const views = new ViewCache(CHARACTERS_MAX);
  views.put(addressOf(0), makeHeld({}));
  for (let i = 0; i < 100; i++) views.put(addressOf(1), makeHeld({ objects: 'x'.repeat(90_000) }));
  for (let i = 0; i < 100; i++) {
    views.put(addressOf(2), makeHeld({ objects: 'x'.repeat(90_000) }));
    views.drop(addressOf(2));
  }
  expect([0, 1, 2].map((i) => views.get(addressOf(i)) !== null)).toEqual([true, true, false]);
});
