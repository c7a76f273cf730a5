import { afterEach, describe, expect, it } from 'vitest';
import { connect, type LiveObject, type World } from '../../src/client/index.ts';
import { History } from './history.ts';

const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close({ timeoutMs: 0 });
});

/** A world without a server: it shows what is done in it. */
function open() {
  const fetchNothing = () => new Promise<Response>(() => undefined);
  const world = connect({ url: 'http://127.0.0.1:9', space: 's', token: 'wk_t', fetch: fetchNothing });
  worlds.push(world);
  const history = new History(world);
  const get = (id: string) => world.objects.get(id) ?? null;
  /** Does something to objects as one step. */
  const step = (ids: string[], act: () => unknown) => {
    const before = ids.map(get);
    act();
    history.add(ids.map((id, i) => ({ before: before[i] ?? null, after: get(id) })));
  };
  return { world, history, get: (id: string) => get(id) as LiveObject, step };
}

describe('undo', () => {
  it('takes back a step, and redo does it again', () => {
    const { world, history, get, step } = open();
    step(['a'], () => world.put('a', { name: 'one', properties: { shape: 'cone' } }));
    step(['a'], () => world.patch('a', { name: 'two' }));
    expect(history.undo()).toBe('done');
    expect(get('a').name).toBe('one');
    expect(history.undo()).toBe('done');
    expect(world.objects.has('a')).toBe(false);
    expect(history.undo()).toBe('empty');
    expect([history.redo(), history.redo(), history.redo()]).toEqual(['done', 'done', 'empty']);
    expect(get('a')).toMatchObject({ name: 'two', properties: { shape: 'cone' } });
  });

  it('keeps what others have changed since', () => {
    const { world, history, get, step } = open();
    world.put('a', { name: 'one', properties: { color: 'red', size: 1 } });
    step(['a'], () => world.patch('a', { name: 'two', properties: { color: 'blue', size: 2, mine: true } }));
    world.patch('a', { position: { x: 9, y: 0, z: 0 }, properties: { color: 'green', theirs: true } });
    expect(history.undo()).toBe('done');
    expect(get('a')).toMatchObject({ name: 'one', position: { x: 9 } });
    expect(get('a').properties).toEqual({ color: 'green', size: 1, theirs: true });
  });

  it('leaves an object that others have changed in the same field, or deleted', () => {
    const { world, history, get, step } = open();
    world.put('a', { name: 'one' });
    step(['a'], () => world.patch('a', { name: 'two' }));
    world.patch('a', { name: 'theirs' });
    expect(history.undo()).toBe('changed_since');
    expect(get('a').name).toBe('theirs');
    step(['b'], () => world.put('b'));
    world.patch('b', { name: 'theirs' });
    expect(history.undo()).toBe('changed_since');
    expect(get('b').name).toBe('theirs');
    step(['a'], () => world.patch('a', { name: 'three' }));
    world.delete('a');
    expect(history.undo()).toBe('changed_since');
    expect(world.objects.has('a')).toBe(false);
  });

  it('brings back a deleted object with all below it', () => {
    const { world, history, get, step } = open();
    world.put('parent', { position: { x: 1, y: 2, z: 3 } });
    world.put('child', { parentId: 'parent', properties: { color: 'red' } });
    step(['parent', 'child'], () => {
      for (const id of ['parent', 'child']) world.delete(id);
    });
    expect(world.objects.size).toBe(0);
    expect(history.undo()).toBe('done');
    expect(get('parent').position).toEqual({ x: 1, y: 2, z: 3 });
    expect(get('child')).toMatchObject({ parentId: 'parent', properties: { color: 'red' } });
    expect(history.redo()).toBe('done');
    expect(world.objects.size).toBe(0);
  });

  it('knows properties that have the names of JavaScript’s own members', () => {
    const { world, history, get, step } = open();
    world.put('a');
    step(['a'], () => world.patch('a', { properties: { constructor: 1, toString: 'text' } }));
    expect(history.undo()).toBe('done');
    expect(get('a').properties).toEqual({});
    expect(history.redo()).toBe('done');
    expect(get('a').properties).toEqual({ constructor: 1, toString: 'text' });
  });

  it('a new step ends what can be redone, and only the newest 200 steps are kept', () => {
    const { world, history, step } = open();
    world.put('a');
    for (let i = 0; i < 205; i++) step(['a'], () => world.patch('a', { name: `${i}` }));
    history.undo();
    expect(history.canRedo).toBe(true);
    step(['a'], () => world.patch('a', { name: 'new' }));
    expect(history.canRedo).toBe(false);
    let undone = 0;
    while (history.undo() === 'done') undone++;
    expect(undone).toBe(200);
  });
});
