import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkOperations, encodeEntries } from './check-operations.ts';
import { AppError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { countOperations, expandOperations, packMoves } from './move.ts';
import type { AppendedOperation, MoveOperation, Operation } from './operation.ts';
import { anyHistory, anyOperation, readWorld } from './operation-testing.ts';
import { copyWorld, replayEntry } from './replay.ts';

/** Checks operations that post no message. */
function checkMoves(ops: unknown[]): AppendedOperation[] {
  return checkOperations({ ops }) as AppendedOperation[];
}

const UPRIGHT = [0, 0, 0, 1];

function errorsOf(...ops: unknown[]): string[] {
  try {
    checkOperations({ ops });
  } catch (error) {
    if (error instanceof AppError) return error.errors.map(({ path, message }) => `${path} ${message}`);
    throw error;
  }
  throw new Error('nothing was refused');
}

const move = (count: number, columns: Partial<MoveOperation> = {}): MoveOperation => ({
  op: 'move',
  ids: Array.from({ length: count }, (_, i) => `o${i}`),
  position: Array.from({ length: count * 3 }, (_, i) => i / 7),
  ...columns,
});

const anyMover: fc.Arbitrary<Operation> = fc
  .tuple(fc.constantFrom('a', 'b'), fc.boolean(), fc.integer({ min: 0, max: 3 }))
  .map(([id, turns, x]) => ({
    op: 'patch',
    id,
    position: { x, y: 0, z: 0 },
    ...(turns && { rotation: { x: 0, y: 0, z: 0, w: 1 } }),
  }));

describe('a move', () => {
  it('is the same as a patch of each object, in order', () => {
    const given: MoveOperation = {
      op: 'move',
      ids: ['a', 'b', 'a'],
      position: [1, 2, 3, 4, 5, 6, 7, 8, 9],
      rotation: [...UPRIGHT, 1, 0, 0, 0, ...UPRIGHT],
      scale: [1, 1, 1, 2, 2, 2, 3, 3, 3],
    };
    const [x, z] = [
      { x: 0, y: 0, z: 0, w: 1 },
      { x: 1, y: 0, z: 0, w: 0 },
    ];
    expect(expandOperations(checkMoves([given]))).toEqual([
      { op: 'patch', id: 'a', position: { x: 1, y: 2, z: 3 }, rotation: x, scale: { x: 1, y: 1, z: 1 } },
      { op: 'patch', id: 'b', position: { x: 4, y: 5, z: 6 }, rotation: z, scale: { x: 2, y: 2, z: 2 } },
      { op: 'patch', id: 'a', position: { x: 7, y: 8, z: 9 }, rotation: x, scale: { x: 3, y: 3, z: 3 } },
    ]);
    const avatars = { op: 'user.move', ids: ['ann'], position: [1, 2, 3] };
    expect(expandOperations(checkMoves([avatars]))).toEqual([
      { op: 'user.patch', id: 'ann', position: { x: 1, y: 2, z: 3 } },
    ]);
  });

  it('is printed from the parsed values: −0 as 0, and rotations with a length of 1', () => {
    const [read] = checkOperations({
      ops: [{ op: 'move', ids: ['a'], position: [-0, -0, -0], rotation: [0, 0, 0, 2] }],
    });
    expect(JSON.stringify(read)).toBe('{"op":"move","ids":["a"],"position":[0,0,0],"rotation":[0,0,0,1]}');
    expect(Object.is((read as MoveOperation).position?.[0], 0)).toBe(true);
    // Within the tolerance a rotation is kept bit for bit.
    const kept = [0, 0, 0.6, 0.800001];
    expect(checkOperations({ ops: [move(1, { rotation: kept })] })).toMatchObject([{ rotation: kept }]);
  });

  it('is refused if it is wrong, and the path names the element', () => {
    const long = `must contain 3 numbers for each id: 6 in total, not 5`;
    expect(errorsOf(move(2, { position: [1, 2, 3, 4, 5] }))).toEqual([`/ops/0/position ${long}`]);
    expect(errorsOf(move(3, { position: [0, 0, 0, 0, 0, 0, 0, '1', 0] as number[] }))).toEqual([
      '/ops/0/position/7 must be a number',
    ]);
    for (const number of [Number.POSITIVE_INFINITY, Number.NaN, null])
      expect(errorsOf(move(1, { position: [0, number as number, 0] }))[0]).toMatch(/^\/ops\/0\/position\/1 /);
    expect(errorsOf({ op: 'move', ids: ['a'] })).toEqual([
      '/ops/0 must have a position, a rotation or a scale',
    ]);
    expect(errorsOf({ op: 'user.move', ids: ['a'], scale: [1, 1, 1] })).toContain(
      '/ops/0 must have a position or a rotation',
    );
    expect(errorsOf(move(1, { ids: [] as string[], position: [] }))).toEqual([
      '/ops/0/ids must contain at least one id',
    ]);
    expect(errorsOf(move(2, { ids: ['a', 'no spaces'] }))[0]).toMatch(/^\/ops\/0\/ids\/1 /);
    expect(errorsOf(move(2, { rotation: [...UPRIGHT, 0, 0, 0, 0] }))).toEqual([
      '/ops/0/rotation/4 must not begin a rotation of only zeros (0, 0, 0, 0)',
    ]);
    for (const extra of [{ ifSeq: 1 }, { ifExists: true }, { properties: {} }, { id: 'a' }, { name: 'n' }])
      expect(errorsOf({ ...move(1), ...extra })[0]).toMatch(new RegExp(`^/ops/0/${Object.keys(extra)[0]} `));
    // biome-ignore lint/suspicious/noSparseArray: what a caller of the package may give
    expect(errorsOf(move(1, { position: [1, , 3] as number[] }))[0]).toMatch(/^\/ops\/0\/position\/1 /);
    expect(errorsOf({ op: 'move', ids: 'a', position: [1, 2, 3] })[0]).toMatch(/^\/ops\/0\/ids /);
  });

  it('[L3f] counts each element as an operation', () => {
    expect(countOperations(checkOperations({ ops: [move(1_000)] }))).toBe(1_000);
    expect(errorsOf(move(1_001))).toEqual(['/ops must contain 1 to 1000 operations, not 1001']);
    expect(errorsOf(move(999), { op: 'delete', id: 'a' }, { op: 'delete', id: 'b' })).toEqual([
      '/ops must contain 1 to 1000 operations, not 1001',
    ]);
  });

  it('[L3g] is split by element, in order, if it is too large for an entry', () => {
    const id = 'x'.repeat(120);
    const ids = Array.from({ length: 999 }, (_, i) => `${id}${i}`);
    const long = (count: number) => Array.from({ length: count }, (_, i) => -1.2345678901234e-300 * (i + 1));
    const rotation = Array.from({ length: 999 }, () => [-0.1234567890123456, 0, 0, 0.9923505]).flat();
    const sent = checkMoves([
      { op: 'delete', id: 'first' },
      { op: 'move', ids, position: long(2_997), rotation, scale: long(2_997) },
    ]);
    const entries = encodeEntries(sent);
    expect(entries.length).toBeGreaterThan(1);
    for (const { ops, count } of entries) {
      expect(new TextEncoder().encode(ops).length).toBeLessThanOrEqual(LIMITS.entryBytesMax);
      expect(countOperations(JSON.parse(ops))).toBe(count);
    }
    const read = entries.flatMap(({ ops }) => expandOperations(JSON.parse(ops) as AppendedOperation[]));
    expect(read).toEqual(expandOperations(sent));
  });

  it('replaces adjacent operations that only move, with the same effect', () => {
    const patch = (id: string, x: number): Operation => ({ op: 'patch', id, position: { x, y: 0, z: 0 } });
    expect(packMoves([patch('a', 1), patch('b', 2), { op: 'delete', id: 'a' }, patch('c', 3)])).toEqual([
      { op: 'move', ids: ['a', 'b'], position: [1, 0, 0, 2, 0, 0] },
      { op: 'delete', id: 'a' },
      patch('c', 3),
    ]);
    // A part of a vector, or anything else, stays a patch.
    const others: Operation[] = [
      { op: 'patch', id: 'a', position: { x: 1 } },
      { op: 'patch', id: 'b', position: { x: 1, y: 0, z: 0 }, name: 'n' },
      { op: 'patch', id: 'c', position: { x: 1, y: 0, z: 0 }, ifSeq: 1 },
      { op: 'patch', id: 'd' },
      { op: 'patch', id: 'e' },
    ];
    expect(packMoves(others)).toEqual(others);
    let packed = 0;
    fc.assert(
      fc.property(fc.array(fc.oneof(anyOperation, anyMover), { maxLength: 12 }), (operations) => {
        const moves = packMoves(operations);
        if (moves.length < operations.length) packed++;
        expect(expandOperations(checkMoves(moves.length === 0 ? [patch('a', 1)] : moves))).toEqual(
          moves.length === 0 ? [patch('a', 1)] : operations,
        );
      }),
      { numRuns: 2_000 },
    );
    expect(packed).toBeGreaterThan(20);
  });

  it('[L3f] gives the same world as its patches', () => {
    fc.assert(
      fc.property(anyHistory({ isConditional: false }), ({ start, entries }) => {
        const [asPatches, asMoves] = [copyWorld(start), copyWorld(start)];
        for (const entry of entries) {
          const moves = packMoves(entry.ops as Operation[]);
          const results = replayEntry(asMoves, { ...entry, ops: [...expandOperations(moves)] });
          expect(results).toEqual(replayEntry(asPatches, entry));
        }
        expect(readWorld(asMoves)).toEqual(readWorld(asPatches));
      }),
      { numRuns: 500 },
    );
  });
});
