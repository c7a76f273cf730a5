import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stack } from '../../test/support.ts';
import { countPrintedBytes, findUnkeepable, measureDepth } from './json-size.ts';
import type { JsonValue } from './types.ts';

describe('countPrintedBytes', () => {
  const client = new pg.Client({ connectionString: stack().databaseUrl });
  beforeAll(() => client.connect());
  afterAll(() => client.end());

  it('is the size that Postgres prints, for any JSON', async () => {
    const text = fc
      .string({ unit: 'binary' })
      .filter((value) => !value.includes('\0') && value.isWellFormed());
    const { tree } = fc.letrec<{ tree: JsonValue }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom<JsonValue>(
          null,
          true,
          false,
          0,
          -0,
          1e21,
          1e-7,
          5e-324,
          -1.5e300,
          1e308,
          '"\\\b\f\n\r\t\u001f\u007f',
        ),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        text,
        fc.array(tie('tree'), { maxLength: 5 }),
        fc.dictionary(text, tie('tree'), { maxKeys: 5 }),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(fc.array(tree, { minLength: 1, maxLength: 50 }), async (values) => {
        const { rows } = await client.query<{ bytes: number }>(
          'select octet_length(value::text) as bytes from unnest($1::jsonb[]) as value',
          [values.map((value) => JSON.stringify(value))],
        );
        // JSON.stringify writes −0 as 0. The count is of the stored text.
        expect(values.map((value) => countPrintedBytes(value))).toEqual(rows.map(({ bytes }) => bytes));
      }),
      { numRuns: 60 },
    );
  });

  it('stops counting above a limit', () => {
    const large = Array.from({ length: 100_000 }, () => 'x'.repeat(100));
    expect(countPrintedBytes(large, 1_000)).toBeGreaterThan(1_000);
    expect(countPrintedBytes(large, 1_000)).toBeLessThan(2_000);
  });
});

describe('measureDepth', () => {
  it('counts levels, and stops one level above the limit', () => {
    expect(measureDepth('a', 32)).toBe(0);
    expect(measureDepth({}, 32)).toBe(1);
    expect(measureDepth({ a: [{}], b: 1 }, 32)).toBe(3);
    let deep: JsonValue = 1;
    for (let i = 0; i < 200_000; i++) deep = [deep];
    expect(measureDepth(deep, 32)).toBe(33);
  });
});

describe('findUnkeepable', () => {
  it('names a value that jsonb cannot store', () => {
    expect(findUnkeepable({ a: [1, 'ü', null, { b: true }] })).toBeNull();
    for (const value of [
      Number.NaN,
      Number.NEGATIVE_INFINITY,
      '\0',
      '\ud800',
      undefined,
      1n,
      new Date(),
      () => 1,
    ])
      expect(findUnkeepable({ list: [value] }), String(value)).toMatch(/^must /);
    expect(findUnkeepable({ 'key\0': 1 })).toMatch(/NUL/);
    expect(findUnkeepable(JSON.parse('{"a":{"__proto__":1}}'))).toMatch(/__proto__/);
  });
});
