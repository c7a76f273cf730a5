import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeEntries } from './check-operations.ts';
import { coalesceOperations } from './coalesce.ts';
import { LIMITS } from './limits.ts';
import type { Operation } from './operation.ts';
import { anyHistory, anyOperation, anyWorld, deepFreeze, readWorld } from './operation-testing.ts';
import { copyWorld, type ReplayWorld, replayEntry } from './replay.ts';

function applyAll(world: ReplayWorld, ops: readonly Operation[]): object {
  const copy = copyWorld(world);
  replayEntry(copy, { seq: 100, prev: 10, actor: 'bob', ops: [...ops], waits: false });
  return readWorld(copy);
}

const patch = (fields: object): Operation => ({ op: 'patch', id: 'x', ...fields });
const put = (fields: object = {}): Operation => ({ op: 'put', id: 'x', ...fields });
const gone: Operation = { op: 'delete', id: 'x' };

describe('coalesceOperations', () => {
  it.each<[string, Operation[], Operation[]]>([
    [
      'the last of each field',
      [patch({ position: { x: 1, y: 2 }, name: 'a' }), patch({ position: { x: 5 }, modelId: 'm' })],
      [patch({ position: { x: 5, y: 2 }, name: 'a', modelId: 'm' })],
    ],
    [
      '[D3b] merge patches separate: a patch that Postgres cannot store fails alone',
      [
        patch({ name: 'a', position: { x: 1 } }),
        patch({ position: { x: 2 } }),
        patch({ properties: { a: 1 } }),
        patch({ properties: { b: 2 }, name: 'b' }),
        patch({ position: { y: 3 } }),
        patch({ position: { x: 4 } }),
      ],
      [
        patch({ name: 'a', position: { x: 2 } }),
        patch({ properties: { a: 1 } }),
        patch({ properties: { b: 2 }, name: 'b' }),
        patch({ position: { x: 4, y: 3 } }),
      ],
    ],
    [
      'a patch into the put before it, except its properties',
      [put({ properties: { a: 1 } }), patch({ scale: { y: 3 } }), patch({ properties: { a: null } })],
      [put({ properties: { a: 1 }, scale: { x: 1, y: 3, z: 1 } }), patch({ properties: { a: null } })],
    ],
    ['the last put', [patch({ name: 'a' }), put({ name: 'b' }), put()], [put()]],
    ['a deletion alone', [put(), patch({}), gone, patch({ name: 'a' }), gone, patch({})], [gone]],
    ['a deletion before a put', [gone, put({ name: 'a' }), patch({ name: 'b' })], [gone, put({ name: 'b' })]],
    ['one deletion before a put', [gone, put(), gone, put()], [gone, put()]],
    [
      '[D3b] nothing across a condition',
      [
        patch({ name: 'a' }),
        patch({ name: 'b' }),
        patch({ name: 'c', ifSeq: 4 }),
        patch({ name: 'd' }),
        gone,
      ],
      [patch({ name: 'b' }), patch({ name: 'c', ifSeq: 4 }), gone],
    ],
    [
      'an avatar, whose id is an object’s too',
      [
        { op: 'user.patch', id: 'x', position: { x: 0, y: 0, z: 0 } },
        gone,
        { op: 'user.patch', id: 'x', position: { x: 1, y: 1, z: 1 } },
      ],
      [{ op: 'user.patch', id: 'x', position: { x: 1, y: 1, z: 1 } }, gone],
    ],
  ])('keeps %s', (_, operations, expected) => {
    expect(coalesceOperations(deepFreeze(operations))).toEqual(expected);
  });

  it('returns the same list if no id is in it twice', () => {
    const operations = [put(), { op: 'user.patch', id: 'x' } as const, { ...gone, id: 'y' }];
    expect(coalesceOperations(operations)).toBe(operations);
  });

  it('does not merge operations that together are too large for an object or an entry', () => {
    const large = (key: string) => patch({ properties: { [key]: 'v'.repeat(40_000) } });
    const operations = [put({ properties: {} }), ...['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(large)];
    const coalesced = coalesceOperations(deepFreeze(operations));
    expect(coalesced).toHaveLength(9);
    const entries = encodeEntries(coalesced);
    expect(entries.length).toBeGreaterThan(1);
    for (const { ops } of entries) expect(ops.length).toBeLessThanOrEqual(LIMITS.entryBytesMax);
  });

  it('[D3b] never changes the resulting world', () => {
    fc.assert(
      fc.property(anyWorld, fc.array(anyOperation, { maxLength: 15 }), (world, operations) => {
        const coalesced = coalesceOperations(deepFreeze(operations));
        expect(applyAll(world, coalesced)).toEqual(applyAll(world, operations));
      }),
      { numRuns: 1_200 },
    );
  });

  it('leaves one operation for each object, or a deletion and a put, if there is no merge patch', () => {
    fc.assert(
      fc.property(fc.array(anyOperation, { maxLength: 15 }), (operations) => {
        const plain = operations.map(({ properties, ...op }: Operation & { properties?: object }) => op);
        const kinds = new Map<string, string[]>();
        for (const { op, id } of coalesceOperations(plain as Operation[])) {
          const key = `${op === 'user.patch'} ${id}`;
          kinds.set(key, [...(kinds.get(key) ?? []), op]);
        }
        for (const of of kinds.values()) if (of.length > 1) expect(of).toEqual(['delete', 'put']);
      }),
    );
  });

  it('[D3b] never changes the outcome of an entry with conditions', () => {
    fc.assert(
      fc.property(anyHistory({ isConditional: true, entriesMax: 4 }), ({ start, entries }) => {
        const world = copyWorld(start);
        const coalesced = copyWorld(start);
        for (const entry of entries) {
          const ops = coalesceOperations(deepFreeze(entry.ops) as Operation[]);
          replayEntry(world, entry);
          replayEntry(coalesced, { ...entry, ops: [...ops] });
          expect(readWorld(coalesced)).toEqual(readWorld(world));
        }
      }),
      { numRuns: 1_200 },
    );
  });
});
