import { Window } from 'happy-dom';
import { createElement, type ReactNode } from 'react';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { connect, type World } from './index.ts';
import {
  useChat,
  useObject,
  useObjectIds,
  usePresence,
  useStatus,
  useUsers,
  useWorld,
  WorldProvider,
} from './react.ts';
import { makePlace, useServer } from './testing/place.ts';

const server = useServer();
let page: Window;
let act: (work: () => Promise<void> | void) => Promise<void>;
let createRoot: typeof import('react-dom/client').createRoot;
const worlds = new Set<World>();

beforeAll(async () => {
  page = new Window();
  // React looks for these when it is loaded.
  Object.assign(globalThis, {
    window: page,
    document: page.document,
    IS_REACT_ACT_ENVIRONMENT: true,
  });
  ({ act } = await import('react'));
  ({ createRoot } = await import('react-dom/client'));
});
afterEach(async () => {
  await Promise.all([...worlds].map((world) => world.close({ timeoutMs: 0 })));
  worlds.clear();
});
afterAll(async () => {
  await page.happyDOM.close();
  for (const name of ['window', 'document', 'IS_REACT_ACT_ENVIRONMENT'])
    Reflect.deleteProperty(globalThis, name);
});

async function open(userId = 'ann'): Promise<World> {
  const place = await makePlace(server());
  const token = await place.join(userId);
  const world = connect({ url: place.url, space: place.space, token, batchMs: 5 });
  worlds.add(world);
  await world.ready;
  return world;
}

/** Shows a component inside a provider. @returns its text, and a function that removes it */
async function show(world: World, node: ReactNode): Promise<{ text(): string; remove(): Promise<void> }> {
  const element = page.document.createElement('div');
  const root = createRoot(element as unknown as Element);
  await act(() => root.render(createElement(WorldProvider, { world }, node)));
  return { text: () => element.textContent, remove: () => act(() => root.unmount()) };
}

describe('the hooks of React', () => {
  it('one changed object renders one component', async () => {
    const world = await open();
    for (let i = 0; i < 50; i++) world.put(`o${i}`, { name: `${i}` });
    const renders = new Map<string, number>();
    const Item = ({ id }: { id: string }) => {
      renders.set(id, (renders.get(id) ?? 0) + 1);
      return createElement('li', null, `${useObject(id)?.name ?? 'none'};`);
    };
    let lists = 0;
    const List = () => {
      lists++;
      return useObjectIds().map((id) => createElement(Item, { key: id, id }));
    };
    const { text, remove } = await show(world, createElement(List));
    expect(text()).toContain('49;');
    const before = new Map(renders);
    await act(() => void world.patch('o7', { name: 'seven' }));
    const again = [...renders].filter(([id, count]) => count !== before.get(id));
    expect(again).toEqual([['o7', (before.get('o7') ?? 0) + 1]]);
    expect(text()).toContain('seven;');
    const listsBefore = lists;
    await act(() => void world.delete('o7'));
    expect(text()).not.toContain('seven;');
    expect(lists).toBe(listsBefore + 1);
    await remove();
  });

  it('read a list once for all objects of one change', async () => {
    const world = await open();
    const List = () => `${useObjectIds().length} objects`;
    const { text, remove } = await show(world, createElement(List));
    const read = vi.spyOn(world.objects, 'keys');
    await act(() => {
      for (let i = 0; i < 3_000; i++) world.put(`o${i}`);
    });
    expect(text()).toBe('3000 objects');
    expect(read.mock.calls.length).toBeLessThan(5);
    await remove();
  });

  it('show people, messages and the status', async () => {
    const world = await open();
    const Hud = () => {
      const { messages, say } = useChat();
      const users = useUsers();
      const present = usePresence();
      return createElement(
        'p',
        { onClick: () => say('clicked') },
        [
          useStatus(),
          useWorld().space,
          ...users.map(({ displayName, position }) => `${displayName} ${position.x}`),
          ...present.map(({ userId }) => `present ${userId}`),
          ...messages.map(({ text }) => text),
        ].join('|'),
      );
    };
    const { text, remove } = await show(world, createElement(Hud));
    await act(async () => {
      await world.moveAvatar({ position: { x: 3, y: 0, z: 0 } }).reached('queued');
      await world.say('Hello').reached('queued');
    });
    await act(async () => {
      await expect.poll(() => world.presence.users.length).toBe(1);
      await expect.poll(() => world.users.get('ann')?.displayName).toBe('The ann');
      await expect.poll(() => world.status).toBe('live');
    });
    expect(text()).toBe(['live', world.space, 'The ann 3', 'present ann', 'Hello'].join('|'));
    await remove();
  });

  it('stop listening when the component is removed', async () => {
    const world = await open();
    world.put('lamp');
    let renders = 0;
    const Lamp = () => {
      renders++;
      return useObject('lamp')?.name ?? '';
    };
    const { remove } = await show(world, createElement(Lamp));
    await remove();
    const before = renders;
    await act(() => void world.patch('lamp', { name: 'Lamp' }));
    expect(renders).toBe(before);
  });

  it('name the missing provider', () => {
    expect(() => useWorld()).toThrow();
  });
});
