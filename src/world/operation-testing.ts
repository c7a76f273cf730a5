import fc from 'fast-check';
import type { LogEntry, ObjectOperation, Operation } from './operation.ts';
import { copyWorld, type ReplayWorld, replayEntry } from './replay.ts';
import type { JsonObject, JsonValue, Seq } from './types.ts';

/** Random worlds and histories for tests. Few ids and keys, so that operations often meet. */
const KEYS = ['a', 'b', 'toString'];
export const OBJECT_IDS = ['a', 'b', 'c'];
/** One has the id of an object. */
export const PEOPLE = ['a', 'mia'];

const anyJson = fc.letrec<{ value: JsonValue; object: JsonObject }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<JsonValue[]>(null, 1, 2, 'x', true, [], [null, { a: null }]),
    tie('object'),
  ),
  object: fc.dictionary(fc.constantFrom(...KEYS), tie('value'), { maxKeys: 3, noNullPrototype: true }),
}));
export const anyProperties = anyJson.object;

const anyNumber = fc.integer({ min: -3, max: 3 }).map((value) => value + 0);
const anyVector = fc.record({ x: anyNumber, y: anyNumber, z: anyNumber }, { noNullPrototype: true });
const anyPart = fc.record(
  { x: anyNumber, y: anyNumber, z: anyNumber },
  { requiredKeys: [], noNullPrototype: true },
);
const anyRotation = fc.constantFrom({ x: 0, y: 0, z: 0, w: 1 }, { x: 1, y: 0, z: 0, w: 0 });
const anyReference = fc.constantFrom(null, 'r1', 'r2');
const fields = {
  rotation: anyRotation,
  name: anyReference,
  modelId: anyReference,
  parentId: anyReference,
  properties: anyProperties,
};
const id = fc.constantFrom(...OBJECT_IDS);

const anyPut = fc.record(
  { op: fc.constant('put' as const), id, ...fields, position: anyVector, scale: anyVector },
  { requiredKeys: ['op', 'id'], noNullPrototype: true },
);
const anyPatch = fc.record(
  { op: fc.constant('patch' as const), id, ...fields, position: anyPart, scale: anyPart },
  { requiredKeys: ['op', 'id'], noNullPrototype: true },
);
const anyDelete = fc.record({ op: fc.constant('delete' as const), id }, { noNullPrototype: true });
const anyUserPatch = fc.record(
  {
    op: fc.constant('user.patch' as const),
    id: fc.constantFrom(...PEOPLE, 'stranger'),
    position: anyVector,
    rotation: anyRotation,
    properties: anyProperties,
  },
  { requiredKeys: ['op', 'id'], noNullPrototype: true },
);

/** Operations as callers send them, without conditions. */
export const anyOperation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 5, arbitrary: anyPatch },
  { weight: 2, arbitrary: anyPut },
  { weight: 2, arbitrary: anyDelete },
  { weight: 2, arbitrary: anyUserPatch },
);

/** Whether the object meets its condition, by its seq before the entry. */
type Aim = 'none' | 'hit' | 'miss' | 'absent' | 'listed' | 'unlisted' | 'exists' | 'existsNot';

export const anyWorld: fc.Arbitrary<ReplayWorld> = fc
  .record({
    objects: fc.uniqueArray(fc.tuple(anyPut, fc.integer({ min: 1, max: 9 }), fc.constantFrom(null, 'old')), {
      selector: ([put]) => put.id,
      maxLength: OBJECT_IDS.length,
    }),
    avatars: fc.uniqueArray(anyUserPatch, { selector: (op) => op.id, maxLength: PEOPLE.length }),
  })
  .map(({ objects, avatars }) => {
    const world: ReplayWorld = {
      objects: new Map(),
      avatars: new Map(),
      removed: new Map(),
      people: new Set(PEOPLE),
    };
    for (const [put, seq, actor] of objects) {
      const ops = [put];
      replayEntry(world, { seq, prev: 0, actor, ops, waits: false });
    }
    replayEntry(world, { seq: 10, prev: 0, actor: 'old', ops: avatars, waits: false });
    return world;
  });

export interface History {
  start: ReplayWorld;
  entries: LogEntry[];
}

/** A world at seq 10, and the entries after it. About half of their conditions are met. */
export function anyHistory({
  isConditional,
  entriesMax = 12,
}: {
  isConditional: boolean;
  entriesMax?: number;
}): fc.Arbitrary<History> {
  const aim: fc.Arbitrary<Aim> = isConditional
    ? fc.oneof(
        { weight: 4, arbitrary: fc.constant<Aim>('none') },
        { weight: 2, arbitrary: fc.constant<Aim>('hit') },
        {
          weight: 2,
          arbitrary: fc.constantFrom<Aim[]>('miss', 'absent', 'listed', 'unlisted', 'exists', 'existsNot'),
        },
      )
    : fc.constant('none');
  const entry = fc.record({
    ops: fc.array(fc.tuple(anyOperation, aim), { minLength: 1, maxLength: 5 }),
    actor: fc.constantFrom(null, 'mia', 'bob'),
    waits: fc.boolean(),
    gap: fc.integer({ min: 1, max: 3 }),
  });
  return fc
    .tuple(anyWorld, fc.array(entry, { minLength: 1, maxLength: entriesMax }))
    .map(([start, drawn]) => {
      const world = copyWorld(start);
      let prev = 10;
      const entries = drawn.map(({ ops, actor, waits, gap }) => {
        const seq = prev + gap;
        const made: LogEntry = { seq, prev, actor, ops: ops.map(([op, of]) => aimAt(world, op, of)), waits };
        replayEntry(world, made);
        prev = seq;
        return made;
      });
      return { start, entries };
    });
}

function aimAt(world: ReplayWorld, op: Operation, aim: Aim): Operation {
  if (op.op === 'user.patch' || aim === 'none') return op;
  const seq = world.objects.get(op.id)?.seq ?? 0;
  const conditions: Record<Exclude<Aim, 'none'>, { ifSeq?: Seq | Seq[]; ifExists?: boolean }> = {
    hit: { ifSeq: seq },
    miss: { ifSeq: seq + 1 },
    absent: { ifSeq: 0 },
    listed: { ifSeq: [3, seq, 0] },
    unlisted: { ifSeq: [seq + 1, seq + 2] },
    exists: { ifExists: true },
    existsNot: { ifExists: false },
  };
  return { ...(op as ObjectOperation), ...conditions[aim] };
}

/** The content of a world, for comparison. */
export function readWorld({ objects, avatars }: ReplayWorld): object {
  const sorted = <T extends { id: string }>(items: Map<string, T>) =>
    [...items.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  return { objects: sorted(objects), avatars: sorted(avatars) };
}

export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const item of Object.values(value)) deepFreeze(item);
  return value;
}
