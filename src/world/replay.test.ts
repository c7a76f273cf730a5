import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogEntry, LogOperation } from './operation.ts';
import { anyHistory, deepFreeze, readWorld } from './operation-testing.ts';
import { copyWorld, type ReplayWorld, replay, replayEntry } from './replay.ts';

function makeWorld(): ReplayWorld {
  return { objects: new Map(), avatars: new Map(), removed: new Map(), people: new Set(['mia']) };
}

function makeEntry(seq: number, actor: string | null, ...ops: LogOperation[]): LogEntry {
  return deepFreeze({ seq, prev: seq - 1, actor, ops, waits: true });
}

const statuses = (world: ReplayWorld, entry: LogEntry) =>
  replayEntry(world, entry).map(({ status }) => status);

describe('replayEntry', () => {
  it('creates, changes and replaces an object, which keeps its creator and creation', () => {
    const world = makeWorld();
    replayEntry(world, makeEntry(1, 'ann', { op: 'put', id: 'x', properties: { a: 1, b: null } }));
    replayEntry(
      world,
      makeEntry(2, 'bob', {
        op: 'patch',
        id: 'x',
        position: { y: 5 },
        properties: { a: null, c: { d: null } },
      }),
    );
    expect(world.objects.get('x')).toEqual({
      id: 'x',
      name: null,
      modelId: null,
      parentId: null,
      position: { x: 0, y: 5, z: 0 },
      rotation: { x: 0, y: 0, z: 0, w: 1 },
      scale: { x: 1, y: 1, z: 1 },
      properties: { b: null, c: {} },
      seq: 2,
      createdSeq: 1,
      createdBy: 'ann',
      updatedBy: 'bob',
    });
    replayEntry(world, makeEntry(3, null, { op: 'put', id: 'x', name: 'n' }));
    expect(world.objects.get('x')).toMatchObject({
      name: 'n',
      properties: {},
      position: { x: 0, y: 0, z: 0 },
      seq: 3,
      createdSeq: 1,
      createdBy: 'ann',
      updatedBy: null,
    });
  });

  it('creates a new object after a deletion, also in one entry', () => {
    const world = makeWorld();
    replayEntry(world, makeEntry(1, 'ann', { op: 'put', id: 'x', name: 'old' }));
    expect(statuses(world, makeEntry(2, 'bob', { op: 'delete', id: 'x' }, { op: 'put', id: 'x' }))).toEqual([
      'applied',
      'applied',
    ]);
    expect(world.objects.get('x')).toMatchObject({ name: null, seq: 2, createdSeq: 2, createdBy: 'bob' });
  });

  it('says `unknown_object` for a missing object, also with a condition', () => {
    const world = makeWorld();
    const entry = makeEntry(
      1,
      'ann',
      { op: 'patch', id: 'x' },
      { op: 'delete', id: 'x', ifSeq: 4 },
      { op: 'patch', id: 'x', ifSeq: 0 },
      { op: 'user.patch', id: 'nobody' },
      { op: 'user.patch', id: 'mia', position: { x: 1, y: 2, z: 3 } },
    );
    expect(statuses(world, entry)).toEqual([...Array(4).fill('unknown_object'), 'applied']);
    expect(world.avatars.get('mia')).toEqual({
      id: 'mia',
      position: { x: 1, y: 2, z: 3 },
      rotation: { x: 0, y: 0, z: 0, w: 1 },
      properties: {},
      seq: 1,
    });
  });

  it('decides all conditions of an entry by the seq before it', () => {
    const world = makeWorld();
    expect(
      statuses(
        world,
        makeEntry(
          5,
          'ann',
          { op: 'put', id: 'x', ifSeq: 3 },
          { op: 'put', id: 'x', ifExists: true },
          { op: 'put', id: 'x', ifSeq: 0 },
          { op: 'patch', id: 'x', ifSeq: 0, name: 'n' },
          { op: 'patch', id: 'x', ifSeq: 5 },
          { op: 'patch', id: 'x', ifExists: false },
        ),
      ),
    ).toEqual(['conflict', 'conflict', 'applied', 'applied', 'conflict', 'applied']);
    expect(
      statuses(
        world,
        makeEntry(
          6,
          'ann',
          { op: 'patch', id: 'x', ifSeq: [4, 5] },
          { op: 'patch', id: 'x', ifSeq: [4, 6] },
          { op: 'delete', id: 'x', ifSeq: 5, ifExists: true },
          { op: 'put', id: 'x', ifSeq: 0 },
          { op: 'put', id: 'x', ifSeq: 5 },
        ),
      ),
    ).toEqual(['applied', 'conflict', 'applied', 'conflict', 'applied']);
    expect(world.objects.get('x')).toMatchObject({ seq: 6, createdSeq: 6 });
  });

  it('[S1] skips entries that a world already has', () => {
    const world = makeWorld();
    replayEntry(world, makeEntry(5, 'ann', { op: 'put', id: 'x', name: 'new' }, { op: 'put', id: 'y' }));
    replayEntry(world, makeEntry(6, 'ann', { op: 'delete', id: 'y' }));
    const before = copyWorld(world);
    replayEntry(world, makeEntry(5, 'bob', { op: 'patch', id: 'x', name: 'again' }, { op: 'put', id: 'y' }));
    expect(world).toEqual(before);
  });
});

describe('replay', () => {
  it('stops before a staged world, which is not in the log', () => {
    const world = makeWorld();
    const stage = makeEntry(2, 'ann', { op: 'stage', id: 's', mode: 'replace' });
    const entries = [makeEntry(1, 'ann', { op: 'put', id: 'x' }), stage, makeEntry(3, 'ann')];
    expect(replay(world, entries)).toBe(1);
    expect(world.objects.get('x')?.seq).toBe(1);
    expect(() => replayEntry(world, stage)).toThrow('staged world');
  });

  it('[L3] gives the same world from any earlier point, with repeats, in any pieces', () => {
    fc.assert(
      fc.property(
        anyHistory({ isConditional: false }),
        fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 6 }),
        ({ start, entries }, pieces) => {
          const world = copyWorld(start);
          const last = copyWorld(start);
          replay(last, deepFreeze(entries));
          let at = 0;
          for (const [back, ahead] of pieces) {
            const from = at - (back % (at + 1));
            const to = from + (ahead % (entries.length - from + 1));
            replay(world, entries.slice(from, to));
            at = Math.max(at, to);
          }
          replay(world, entries.slice(at));
          expect(readWorld(world)).toEqual(readWorld(last));
        },
      ),
      { numRuns: 800 },
    );
  });

  it('[S1] completes a world that was read in pieces, at different places of the log', () => {
    const property = (isConditional: boolean) =>
      fc.property(
        anyHistory({ isConditional }),
        fc.array(fc.nat(), { minLength: 6, maxLength: 6 }),
        ({ start, entries }, places) => {
          const worldAt = places.map((place) => {
            const world = copyWorld(start);
            replay(world, entries.slice(0, place % (entries.length + 1)));
            return world;
          });
          const world: ReplayWorld = { ...makeWorld(), people: start.people };
          for (const [n, id] of ['a', 'b', 'c'].entries()) {
            const object = worldAt[n]?.objects.get(id);
            if (object !== undefined) world.objects.set(id, object);
            const removedSeq = worldAt[n]?.removed.get(id);
            // Only conditions need the objects that were removed meanwhile.
            if (isConditional && removedSeq !== undefined) world.removed.set(id, removedSeq);
          }
          for (const [n, id] of ['a', 'mia', 'stranger'].entries()) {
            const avatar = worldAt[n + 3]?.avatars.get(id);
            if (avatar !== undefined) world.avatars.set(id, avatar);
          }
          const first = Math.min(...places.map((place) => place % (entries.length + 1)));
          replay(world, entries.slice(first));
          const last = copyWorld(start);
          replay(last, entries);
          expect(readWorld(world)).toEqual(readWorld(last));
        },
      );
    fc.assert(property(false), { numRuns: 600 });
    fc.assert(property(true), { numRuns: 600 });
  });
});
