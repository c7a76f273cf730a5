import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ObjectChange, SingleOperation } from './batch.ts';
import { LIMITS } from './limits.ts';
import { applyMergePatch } from './merge-patch.ts';
import { findDecided } from './no-effects.ts';
import type { LogEntry, LogOperation, Operation, OperationResult } from './operation.ts';
import { anyHistory, deepFreeze, OBJECT_IDS, PEOPLE, readWorld } from './operation-testing.ts';
import { type BatchPlan, findAsked, type Known, planBatch } from './plan-batch.ts';
import { copyWorld, type ReplayWorld, replayEntry } from './replay.ts';
import type { JsonObject, Seq } from './types.ts';

const NOTHING: Known = new Map();

function makeEntry(seq: Seq, actor: string | null, ...ops: LogOperation[]): LogEntry {
  return deepFreeze({ seq, prev: seq - 1, actor, ops, waits: false });
}

const patch = (fields: object = {}): Operation => ({ op: 'patch', id: 'x', ...fields });
const put = (fields: object = {}): Operation => ({ op: 'put', id: 'x', ...fields });
const gone: Operation = { op: 'delete', id: 'x' };

function plan(entries: LogEntry[], known = NOTHING): ObjectChange[] {
  return planBatch(entries, known, { rowsMax: 100 }).objects;
}

const made = {
  id: 'x',
  name: null,
  modelId: null,
  parentId: null,
  properties: {},
  position: { x: 0, y: 0, z: 0 },
  rotation: { x: 0, y: 0, z: 0, w: 1 },
  scale: { x: 1, y: 1, z: 1 },
};

describe('planBatch', () => {
  it('makes one patch of many, with two merge patches if one cannot replace them', () => {
    const entries = [
      makeEntry(1, 'ann', patch({ position: { x: 1, y: 2, z: 3 }, properties: { a: 1 } })),
      makeEntry(2, 'bob', patch({ position: { x: 9 }, properties: { b: null } })),
      makeEntry(3, null, patch({ name: 'n', properties: { b: { c: 1 } } }), patch({ properties: { d: 1 } })),
    ];
    expect(plan(entries)).toEqual([
      {
        kind: 'patch',
        id: 'x',
        seq: 3,
        actor: null,
        position: { x: 9, y: 2, z: 3 },
        name: 'n',
        patches: [{ b: null }, { a: 1, b: { c: 1 }, d: 1 }],
      },
    ]);
  });

  it('[T4e] says which entry did more than move, if a later one moved only', () => {
    const move = patch({ position: { x: 1 }, scale: { y: 2 } });
    const seqs = (...ops: Operation[]) =>
      plan(ops.map((op, i) => makeEntry(i + 1, 'ann', op))).map((change) =>
        'contentSeq' in change ? change.contentSeq : undefined,
      );
    const name = patch({ name: 'n' });
    expect(seqs(move, move)).toEqual([undefined]);
    expect(seqs(move, name)).toEqual([undefined]);
    expect(seqs(name, move)).toEqual([1]);
    expect(seqs(name, move, move)).toEqual([1]);
    expect(seqs(name, move, patch({ properties: {} }))).toEqual([undefined]);
    expect(seqs(name, move, patch({ properties: {} }), move)).toEqual([3]);
    expect(seqs(put(), move)).toEqual([1]);
    expect(seqs(name, move, put(), move)).toEqual([3]);
    const avatar = (fields: object): Operation => ({ op: 'user.patch', id: 'ann', ...fields });
    const entries = [avatar({ properties: { a: 1 } }), avatar({ position: { x: 1, y: 0, z: 0 } })];
    const { avatars } = planBatch(
      entries.map((op, i) => makeEntry(i + 1, 'ann', op)),
      NOTHING,
      { rowsMax: 9 },
    );
    expect(avatars).toMatchObject([{ seq: 2, contentSeq: 1 }]);
  });

  it('[D3a] makes at most two merge patches of any number', () => {
    const nest = (depth: number): JsonObject => ({ a: depth === 0 ? 1 : nest(depth - 1) });
    const ops = Array.from({ length: 1_000 }, (_, i) => patch({ properties: nest(i % 30) }));
    const [change] = plan([makeEntry(1, null, ...ops), makeEntry(2, null, ...ops)]);
    expect(change).toMatchObject({ kind: 'patch', seq: 2, patches: [{ a: null }, nest(9)] });
  });

  it.each<[string, Operation[], object | null]>([
    [
      'a put',
      [put(), patch({ name: 'n', properties: { a: null, b: 1 } })],
      {
        kind: 'put',
        seq: 2,
        actor: '2',
        createdSeq: 1,
        createdBy: '1',
        isNew: false,
        object: { ...made, name: 'n', properties: { b: 1 } },
      },
    ],
    [
      'the last put, begun by the first',
      [put({ name: 'a' }), put()],
      { kind: 'put', seq: 2, actor: '2', createdSeq: 1, createdBy: '1', isNew: false, object: made },
    ],
    [
      'a put that need not be new',
      [patch({ name: 'a' }), put()],
      { kind: 'put', seq: 2, actor: '2', createdSeq: 2, createdBy: '2', isNew: false, object: made },
    ],
    [
      'a new object',
      [put(), gone, put(), put()],
      { kind: 'put', seq: 4, actor: '4', createdSeq: 3, createdBy: '3', isNew: true, object: made },
    ],
    ['a deletion at its own seq', [patch(), gone, patch(), gone], { kind: 'delete', seq: 2 }],
    ['the deletion of an object that was created again', [gone, put(), gone], { kind: 'delete', seq: 3 }],
  ])('leaves %s', (_, ops, expected) => {
    expect(plan(ops.map((op, n) => makeEntry(n + 1, String(n + 1), op)))).toEqual([{ id: 'x', ...expected }]);
  });

  it('leaves nothing of operations with a failed condition', () => {
    const known: Known = new Map([
      ['x', 7],
      ['y', 0],
    ]);
    const entries = [makeEntry(8, 'ann', patch({ name: 'a', ifSeq: 6 }), { op: 'put', id: 'y', ifSeq: 3 })];
    expect(findAsked(entries)).toEqual(['x', 'y']);
    expect(plan(entries, known)).toEqual([]);
  });

  it('takes whole entries up to the maximum of rows, and at least one', () => {
    const of = (seq: number, ...ids: string[]) =>
      makeEntry(seq, null, ...ids.map((id) => ({ op: 'patch' as const, id })));
    const entries = [of(1, 'a', 'b', 'c'), of(2, 'a', 'c'), of(3, 'd'), of(4, 'e'), of(5, 'a')];
    const take = (rowsMax: number) => {
      const { used, to, operations, objects } = planBatch(entries, NOTHING, { rowsMax });
      return [used, to, operations, objects.length];
    };
    expect(take(2)).toEqual([1, 1, 3, 3]);
    expect(take(4)).toEqual([3, 3, 6, 4]);
    expect(take(5)).toEqual([5, 5, 8, 5]);
  });

  it('[D8e] completes the row of an object that a caller needs, and ends before too many operations follow', () => {
    const needed = { ...makeEntry(3, 'ann', patch({ name: 'b' })), waits: true, returnsObject: true };
    const others = Array.from({ length: 80 }, (_, i) => makeEntry(i + 4, null, patch({ name: `${i}` })));
    const entries = [makeEntry(1, null, put({ name: 'a' })), makeEntry(2, null, patch()), needed, ...others];
    const known: Known = new Map([['x', 1]]);
    const { used, objects, singles, written } = planBatch(entries, known, { rowsMax: 100 });
    expect(objects).toMatchObject([{ seq: 3, object: { name: 'b' } }]);
    expect(written).toEqual([{ seq: 3, id: 'x' }]);
    expect(singles).toHaveLength(LIMITS.batchFollowersMax);
    expect(used).toBe(3 + LIMITS.batchFollowersMax);
    const late = planBatch(entries, known, { rowsMax: 100, returnsAfter: 3 });
    expect([late.used, late.objects.length, late.singles, late.written]).toEqual([83, 1, [], []]);
  });

  it('[L7] stops before a staged world', () => {
    const stage: LogOperation = { op: 'stage', id: 's', mode: 'replace' };
    const entries = [
      makeEntry(1, null, patch()),
      makeEntry(2, null, stage),
      makeEntry(3, null, put({ ifSeq: 0 })),
    ];
    expect(planBatch(entries, NOTHING, { rowsMax: 9 })).toMatchObject({ used: 1, to: 1, operations: 1 });
    expect(planBatch(entries.slice(1), NOTHING, { rowsMax: 9 })).toEqual({
      used: 0,
      to: 0,
      counts: { changes: 0, posted: 0 },
      operations: 0,
      objects: [],
      avatars: [],
      messages: [],
      singles: [],
      results: [],
      written: [],
      doubtful: [],
      presumed: [],
      noEffects: [],
    });
    expect(findAsked(entries)).toEqual([]);
  });

  it('[D3] has the effect of the operations in order, at every cut', () => {
    fc.assert(
      fc.property(
        anyHistory({ isConditional: true }),
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 8 }),
        fc.subarray(OBJECT_IDS, { maxLength: 2 }),
        fc.subarray(PEOPLE, { maxLength: 1 }),
        ({ start, entries }, cuts, rowsMax, apartObjects, apartUsers) => {
          deepFreeze(entries);
          const apart = {
            objects: new Set(apartObjects),
            users: new Set(apartUsers),
            messages: new Set<string>(),
          };
          const world = copyWorld(start);
          const oneByOne = copyWorld(start);
          for (let at = 0, round = 0; at < entries.length; round++) {
            const given = entries.slice(at, at + (cuts[round % cuts.length] ?? 1));
            const batch = planBatch(given, readKnown(world, findAsked(given)), { rowsMax, apart });
            expect(batch.used).toBeGreaterThan(0);
            const used = given.slice(0, batch.used);
            checkShape(batch, used, rowsMax);
            const expected = used.map((entry) => replayEntry(oneByOne, entry));
            const absent = findAbsent(world, batch);
            applyPlan(world, batch, oneByOne);
            expect(readWorld(world)).toEqual(readWorld(oneByOne));
            checkResults(findResults(batch, absent), used, expected, apart);
            at += batch.used;
          }
        },
      ),
      { numRuns: 1_200 },
    );
  });

  it('[D3] needs no seqs of objects without conditions, in entries that no caller waits for', () => {
    fc.assert(
      fc.property(anyHistory({ isConditional: false }), ({ start, entries }) => {
        const unasked = entries.map((entry) => ({ ...entry, waits: false }));
        expect(findAsked(unasked)).toEqual([]);
        const world = copyWorld(start);
        const oneByOne = copyWorld(start);
        for (const entry of unasked) replayEntry(oneByOne, entry);
        applyPlan(world, planBatch(unasked, NOTHING, { rowsMax: 100 }), oneByOne);
        expect(readWorld(world)).toEqual(readWorld(oneByOne));
      }),
      { numRuns: 500 },
    );
  });
});

function readKnown(world: ReplayWorld, asked: string[]): Known {
  return new Map(asked.map((id) => [id, world.objects.get(id)?.seq ?? 0]));
}

/** The response of Postgres to a plan: names in the plan that the world does not have. */
function findAbsent(world: ReplayWorld, { objects, avatars, doubtful }: BatchPlan) {
  const named = objects.flatMap(({ kind, id }) => (kind === 'put' ? [] : [id]));
  return {
    objects: [...named, ...doubtful].filter((id) => !world.objects.has(id)),
    users: avatars.flatMap(({ id }) => (world.people?.has(id) ? [] : [id])),
    messages: [],
  };
}

/** Also of entries with operations that are applied one by one, as far as the plan decides them. */
function findResults(batch: BatchPlan, absent: ReturnType<typeof findAbsent>): BatchPlan['results'] {
  return findDecided({ ...batch, singles: [] }, { absent });
}

function checkShape(batch: BatchPlan, used: LogEntry[], rowsMax: number): void {
  const { objects, avatars, singles, operations, to } = batch;
  expect(to).toBe(used.at(-1)?.seq);
  expect(operations).toBe(used.reduce((sum, { ops }) => sum + ops.length, 0));
  expect(new Set(objects.map(({ id }) => id)).size).toBe(objects.length);
  expect(new Set(avatars.map(({ id }) => id)).size).toBe(avatars.length);
  if (used.length > 1) expect(objects.length + avatars.length + singles.length).toBeLessThanOrEqual(rowsMax);
}

function checkResults(
  results: BatchPlan['results'],
  used: LogEntry[],
  expected: OperationResult[][],
  apart: { objects: ReadonlySet<string>; users: ReadonlySet<string> },
): void {
  const wanted = used.flatMap(({ seq, ops, waits }, n) => {
    if (!waits) return [];
    const results = ops.map(({ op, id }, index) => {
      const isApart = (op === 'user.patch' ? apart.users : apart.objects).has(id);
      return isApart ? { id, status: 'applied' } : expected[n]?.[index];
    });
    return [{ seq, results }];
  });
  expect(results).toEqual(wanted);
}

/** The effect of a plan in Postgres, in the simplest code. `after` is the expected world. */
function applyPlan(world: ReplayWorld, { objects, avatars, singles }: BatchPlan, after: ReplayWorld): void {
  const patchAll = (properties: JsonObject, patches: JsonObject[] = []) =>
    patches.reduce((target, each) => applyMergePatch(target, each) as JsonObject, properties);
  for (const change of objects) {
    const old = world.objects.get(change.id);
    if (change.kind === 'delete') {
      if (old === undefined) continue;
      world.objects.delete(change.id);
      expect(change.seq).toBe(after.removed.get(change.id));
    } else if (change.kind === 'put') {
      const { seq, actor, createdSeq, createdBy, object, isNew } = change;
      const kept = isNew || old === undefined ? { createdSeq, createdBy } : old;
      world.objects.set(change.id, {
        ...structuredClone(object),
        seq,
        updatedBy: actor,
        createdSeq: kept.createdSeq,
        createdBy: kept.createdBy,
      });
    } else if (old !== undefined) {
      const { kind, actor, patches, position, scale, contentSeq, ...fields } = change;
      world.objects.set(change.id, {
        ...old,
        ...fields,
        updatedBy: actor,
        position: { ...old.position, ...position },
        scale: { ...old.scale, ...scale },
        properties: patchAll(old.properties, patches),
      });
    }
  }
  for (const { id, seq, position, rotation, patches } of avatars) {
    if (!world.people?.has(id)) continue;
    const old = world.avatars.get(id) ?? { position: made.position, rotation: made.rotation, properties: {} };
    world.avatars.set(id, {
      id,
      seq,
      position: position ?? old.position,
      rotation: rotation ?? old.rotation,
      properties: patchAll(old.properties, patches),
    });
  }
  for (const entry of groupSingles(singles)) replayEntry(world, entry);
}

/** All operations of an entry together: conditions compare with the seq before the entry. */
function groupSingles(singles: SingleOperation[]): LogEntry[] {
  const entries = new Map<Seq, LogEntry>();
  for (const { seq, actor, op } of singles) {
    const entry = entries.get(seq) ?? { seq, prev: 0, actor, ops: [], waits: false };
    entry.ops.push(op);
    entries.set(seq, entry);
  }
  return [...entries.values()];
}
