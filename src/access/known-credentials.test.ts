import { expect, it } from 'vitest';
import { KnownCredentials } from './known-credentials.ts';

it('remembers 10,000 credentials, and forgets the one used longest ago', async () => {
  let nowMs = 0;
  const known = new KnownCredentials<string>({ now: () => nowMs, cacheMs: 1, isValid: () => true });
  const charged: string[] = [];
  const find = (name: string) =>
    known.find(
      name,
      async () => name,
      () => void charged.push(name),
    );
  for (let i = 0; i < 10_000; i++) await find(`k${i}`);
  expect(charged).toHaveLength(10_000);
  nowMs += 1;
  // Used again, the first is the youngest.
  await find('k0');
  await find('one more');
  charged.length = 0;
  nowMs += 1;
  for (const name of ['k0', 'k2', 'k9999', 'k1']) await find(name);
  expect(charged).toEqual(['k1']);
});
