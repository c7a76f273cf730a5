import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { checkOperations, encodeEntries, operationsSchema } from './check-operations.ts';
import { AppError } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { Operation } from './operation.ts';
import { anyOperation, deepFreeze } from './operation-testing.ts';
import type { Quaternion } from './types.ts';

afterEach(() => vi.restoreAllMocks());

function errorOf(value: unknown): AppError {
  try {
    checkOperations(value);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

const pathsOf = (...ops: unknown[]) => errorOf({ ops }).errors.map(({ path }) => path);
const valid = { op: 'patch', id: 'a', position: { x: 1 } };

describe('checkOperations', () => {
  it('names each wrong value by a JSON Pointer', () => {
    expect(
      pathsOf(
        valid,
        { op: 'patch', id: 'a', position: { x: '1' } },
        { op: 'put', id: 'a', position: { x: 1, y: 1 } },
        { op: 'user.patch', id: 'a', scale: { x: 1, y: 1, z: 1 } },
        { op: 'shift', id: 'a' },
        { op: 'patch', id: 'no spaces', colour: 1 },
        7,
        { op: 'delete', id: 'a', name: 'n' },
        { op: 'patch', id: 'a', rotation: { x: 0, y: 0, z: 0, w: 0 } },
        { op: 'put', id: 'a', scale: { x: 1, y: Number.POSITIVE_INFINITY, z: 1 } },
      ),
    ).toEqual([
      '/ops/1/position/x',
      '/ops/2/position/z',
      '/ops/3/scale',
      '/ops/4/op',
      '/ops/5/id',
      '/ops/5/colour',
      '/ops/6',
      '/ops/7/name',
      '/ops/8/rotation',
      '/ops/9/scale/y',
    ]);
  });

  it('takes a seq or a list of seqs as the condition of an object, and no other condition', () => {
    const ops = [
      { op: 'put', id: 'a', ifSeq: 0 },
      { op: 'delete', id: 'a', ifSeq: Number.MAX_SAFE_INTEGER },
      { op: 'patch', id: 'a', ifSeq: Array.from({ length: LIMITS.conditionSeqsMax }, (_, i) => i) },
    ];
    expect(checkOperations({ ops })).toEqual(ops);
    expect(
      pathsOf(
        { ...valid, ifSeq: -1 },
        { ...valid, ifSeq: 2 ** 53 },
        { ...valid, ifSeq: 1.5 },
        { ...valid, ifSeq: [] },
        { ...valid, ifSeq: null },
        { ...valid, ifExists: true },
        { op: 'user.patch', id: 'a', ifSeq: 1 },
        { op: 'stage', id: 'a', mode: 'merge' },
        { ...valid, ifSeq: [1, -1] },
        { ...valid, ifSeq: Array(LIMITS.conditionSeqsMax + 1).fill(1) },
      ),
    ).toEqual([
      ...[0, 1, 2, 3, 4].map((n) => `/ops/${n}/ifSeq`),
      '/ops/5/ifExists',
      '/ops/6/ifSeq',
      '/ops/7/op',
      '/ops/8/ifSeq/1',
      '/ops/9/ifSeq',
    ]);
  });

  it('[L6] takes 1 to 1,000, and names the limit and the number before it checks any operation', () => {
    const validate = vi.spyOn(operationsSchema, 'safeParse');
    expect(checkOperations({ ops: Array(1_000).fill(valid) })).toHaveLength(1_000);
    for (const count of [0, 1_001, 400_000])
      expect(errorOf({ ops: Array(count).fill(0) })).toMatchObject({
        code: 'validation_failed',
        errors: [{ path: '/ops', message: `must contain 1 to 1000 operations, not ${count}` }],
      });
    expect(validate).not.toHaveBeenCalled();
  });

  it('refuses a body that is not a list of operations', () => {
    expect(errorOf({}).errors[0]?.path).toBe('/ops');
    expect(errorOf({ ops: 'all' }).errors[0]?.path).toBe('/ops');
    expect(errorOf(null).errors[0]?.path).toBe('');
    expect(errorOf([valid]).code).toBe('validation_failed');
    expect(errorOf({ ops: [valid], more: 1 }).errors[0]?.path).toBe('/more');
  });

  it('has a code of its own if only the size of properties is wrong', () => {
    const ops = [{ ...valid, properties: { a: 'x'.repeat(70_000) } }];
    expect(errorOf({ ops })).toMatchObject({
      code: 'properties_too_large',
      errors: [{ path: '/ops/0/properties' }],
    });
  });

  it('keeps 0 for −0, and rotations of length 1', () => {
    const rotations: Quaternion[] = [
      { x: 0, y: 0, z: -0, w: 1.00009 },
      { x: 0, y: 0, z: 0, w: 0.99991 },
      { x: 0, y: 2, z: 0, w: 0 },
      { x: 0, y: 0, z: 0, w: 1e-300 },
    ];
    const ops = checkOperations({
      ops: [{ ...valid, position: { y: -0 } }, ...rotations.map((rotation) => ({ ...valid, rotation }))],
    });
    expect(ops.map((op) => (op.op === 'patch' ? (op.rotation ?? op.position) : null))).toEqual([
      { y: 0 },
      { x: 0, y: 0, z: 0, w: 1.00009 },
      { x: 0, y: 0, z: 0, w: 0.99991 },
      { x: 0, y: 1, z: 0, w: 0 },
      { x: 0, y: 0, z: 0, w: 1 },
    ]);
  });

  it('takes a name that Postgres can store, or no name', () => {
    const names = ['', 'é'.repeat(256), '\u{1f600}', null];
    const ops = names.map((name) => ({ op: 'put', id: 'a', name }));
    expect(checkOperations({ ops })).toEqual(ops);
    // One at a time: after a refusal, the others would not use the fast path.
    for (const name of ['x'.repeat(257), 'a\0', '\ud800', 1])
      expect(pathsOf({ ...valid, name })).toEqual(['/ops/0/name']);
  });

  it('refuses members named __proto__ at every place', () => {
    const texts = [
      '{"op":"patch","id":"a","__proto__":{"name":"n"}}',
      '{"op":"patch","id":"a","position":{"x":1,"__proto__":{"y":1}}}',
      '{"op":"patch","id":"a","properties":{"b":{"__proto__":1}}}',
    ];
    expect(pathsOf(...texts.map((text) => JSON.parse(text)))).toEqual([
      '/ops/0/__proto__',
      '/ops/1/position/__proto__',
      '/ops/2/properties',
    ]);
  });

  it('keeps the value that it checked, also if a getter returns another one later', () => {
    let reads = 0;
    const position = {
      get x() {
        return reads++ === 0 ? 1 : Number.NaN;
      },
    };
    expect(JSON.stringify(checkOperations({ ops: [{ ...valid, position }] }))).toBe(
      '[{"op":"patch","id":"a","position":{"x":1}}]',
    );
  });

  it('takes valid lists without the schema', () => {
    const validate = vi.spyOn(operationsSchema, 'safeParse');
    fc.assert(
      fc.property(fc.array(anyOperation, { minLength: 1, maxLength: 10 }), (ops) => {
        expect(checkOperations(deepFreeze({ ops }))).toEqual(ops);
      }),
      { numRuns: 300 },
    );
    expect(validate).not.toHaveBeenCalled();
  });

  it('gives the same verdict and value as the schema for every changed operation', () => {
    const verdicts = { valid: 0, invalid: 0 };
    fc.assert(
      fc.property(fc.array(anyMutant, { minLength: 1, maxLength: 3 }), (ops) => {
        const expected = operationsSchema.safeParse({ ops });
        verdicts[expected.success ? 'valid' : 'invalid']++;
        if (expected.success) expect(checkOperations({ ops })).toEqual(expected.data.ops);
        else expect(errorOf({ ops }).errors.length).toBeGreaterThan(0);
      }),
      { numRuns: 4_000 },
    );
    expect(Math.min(verdicts.valid, verdicts.invalid)).toBeGreaterThan(500);
  });
});

class Point {
  x = 1;
  y = 2;
  z = 3;
}

const anyNumber = fc.oneof(
  fc.double(),
  fc.constantFrom(0, -0, 1, 2 ** 53, 5e-324, 1.7e308, Number.NaN, Number.POSITIVE_INFINITY),
);
const oddities = [
  ...[undefined, null, true, '', '1', 'a', 'x'.repeat(257), 'x'.repeat(256), 'a\0', '\ud800', 'é'],
  ...[
    'put',
    'patch',
    'delete',
    'user.patch',
    5,
    1n,
    Symbol('s'),
    [],
    [1],
    [2, -0],
    [-1],
    [1.5, 1],
    [null],
    {},
    new Date(0),
    new Point(),
  ],
  ...[{ x: 1 }, { x: undefined, y: 1 }, { x: 1, y: 2, z: 3 }, { x: 1, y: 2, z: 3, w: 4 }, { w: 1 }],
  ...[Object.create({ x: 1, y: 2, z: 3 }), Object.assign(Object.create(null), { x: 1, y: 2, z: 3 })],
  ...[{ a: undefined }, { a: () => 1 }, { a: { b: Number.NaN } }, { a: 'x'.repeat(65_536) }, { a: '\ud800' }],
  ...[JSON.parse('{"__proto__":1}'), JSON.parse(`${'{"a":'.repeat(33)}1${'}'.repeat(33)}`), { a: 1e308 }],
];
const anyRotation = fc.oneof(
  fc.record({ x: anyNumber, y: anyNumber, z: anyNumber, w: anyNumber }, { noNullPrototype: true }),
  // Lengths around the limit up to which a rotation is kept.
  fc.double({ min: 0.9997, max: 1.0003, noNaN: true }).map((w) => ({ x: 0, y: 0, z: 0, w })),
);
const anyKey = fc.constantFrom(
  ...['op', 'id', 'position', 'rotation', 'scale', 'name', 'modelId', 'parentId', 'properties', 'ifSeq'],
  ...['ifExists', 'other', 'toString'],
);
const anyMutation = fc.oneof(
  fc.constant(null),
  fc.tuple(anyKey, fc.oneof(fc.constantFrom(...oddities), anyNumber)),
  fc.tuple(fc.constant('rotation'), anyRotation),
  fc.tuple(
    fc.constantFrom('position', 'scale'),
    fc.dictionary(fc.constantFrom('x', 'y', 'z', 'w'), anyNumber, { noNullPrototype: true }),
  ),
);

/** An operation with a replaced or added member (also a getter), or a value of another kind in its place. */
const anyMutant: fc.Arbitrary<unknown> = fc
  .tuple(anyOperation, anyMutation, fc.constantFrom('plain', 'plain', 'plain', 'getter', 'created', 'bare'))
  .map(([operation, mutation, form]) => {
    const op: Record<string, unknown> = { ...operation };
    if (mutation !== null) {
      const [key, value] = mutation;
      if (form === 'getter') Object.defineProperty(op, key, { get: () => value, enumerable: true });
      else op[key] = value;
    }
    if (form === 'created') return Object.create(op);
    return form === 'bare' ? Object.assign(Object.create(null), op) : op;
  });

describe('encodeEntries', () => {
  const put = (id: string, text: string): Operation => ({ op: 'put', id, properties: { text } });

  it('[L3d] splits operations that are too large for an entry, in order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('x', 'é', '漢', '😀', '"'), fc.nat(10_000)), { maxLength: 60 }),
        (drawn) => {
          const ops = drawn.map(([unit, count], n) => put(String(n), unit.repeat(count)));
          const entries = encodeEntries(ops);
          expect(entries.flatMap((entry) => JSON.parse(entry.ops))).toEqual(ops);
          let sizeBefore = Number.POSITIVE_INFINITY;
          for (const { ops: text, count } of entries) {
            const size = Buffer.byteLength(text);
            expect(size).toBeLessThanOrEqual(LIMITS.entryBytesMax);
            expect(count).toBe(JSON.parse(text).length);
            // It did not fit into the entry before it.
            const firstSize = Buffer.byteLength(JSON.stringify(JSON.parse(text)[0]));
            expect(sizeBefore + 1 + firstSize).toBeGreaterThan(LIMITS.entryBytesMax);
            sizeBefore = size;
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('fills an entry to the last byte', () => {
    const rest = Buffer.byteLength(JSON.stringify([put('0', ''), put('1', '')]));
    const fill = (bytes: number) =>
      encodeEntries([put('0', 'é'.repeat(100_000)), put('1', 'x'.repeat(bytes))]);
    const room = LIMITS.entryBytesMax - rest - 200_000;
    expect(fill(room).map(({ count }) => count)).toEqual([2]);
    expect(fill(room + 1).map(({ count }) => count)).toEqual([1, 1]);
    // In bytes, not in characters.
    const wide = ['0', '1'].map((id) => put(id, '漢'.repeat(50_000)));
    expect(encodeEntries(wide).map(({ count }) => count)).toEqual([1, 1]);
    expect(encodeEntries([])).toEqual([]);
  });
});
