import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stack } from '../../test/support.ts';
import { applyMergePatch } from './merge-patch.ts';
import { anyProperties } from './operation-testing.ts';
import type { JsonObject } from './types.ts';

describe('applyMergePatch', () => {
  const client = new pg.Client({ connectionString: stack().databaseUrl });
  beforeAll(() => client.connect());
  afterAll(() => client.end());

  it('gives the result of json_merge_patch in Postgres', async () => {
    const pairs = fc.array(fc.tuple(anyProperties, anyProperties), { minLength: 1, maxLength: 100 });
    await fc.assert(
      fc.asyncProperty(pairs, async (drawn) => {
        const { rows } = await client.query<{ merged: JsonObject }>(
          `SELECT json_merge_patch(value -> 0, value -> 1) AS merged
           FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS t (value, n) ORDER BY n`,
          [JSON.stringify(drawn)],
        );
        expect(rows.map(({ merged }) => merged)).toEqual(
          drawn.map(([target, patch]) => applyMergePatch(target, patch)),
        );
      }),
      { numRuns: 20 },
    );
  });
});
