import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { describeKey } from './key.ts';

it('reads the tenant of a key, and computes the id that the server gave it', async () => {
  const key = `wk_big_studio_${'a_'.repeat(21)}b`;
  const keyId = `key_${createHash('sha256').update(key).digest('hex').slice(0, 16)}`;
  expect(await describeKey(key)).toEqual({ tenantId: 'big_studio', keyId });
});

it('knows that other texts are no keys', async () => {
  for (const text of ['', 'wk_', 'wk_demo_short', 'a.b.c']) expect(await describeKey(text)).toBeNull();
});
