import { expect, it } from 'vitest';
import { CacheManager } from '../src/index.ts';
import { stack, uniqueName } from './support.ts';

it('a CacheManager takes the URL of a Redis, with its database', async () => {
  const tenantId = uniqueName('t');
  const open = (database: string) => new CacheManager({ url: `${stack().redisUrl}/${database}`, tenantId });
  const [first, second] = [open('0'), open('1')];
  await first.set('player', 'ann', { score: 1 });
  expect(await first.get('player', 'ann')).toEqual({ score: 1 });
  expect(await second.get('player', 'ann')).toBeNull();
  await Promise.all([first.disconnect(), second.disconnect()]);
});

it('a CacheManager refuses a URL together with another member, and a URL of another kind', () => {
  const url = 'redis://h';
  for (const beside of [{ host: 'h' }, { port: 6_379 }, { password: 'hunter2' }])
    expect(() => new CacheManager({ url, ...beside })).toThrow(/^url cannot be combined with/);
  expect(() => new CacheManager({ url: 'https://:hunter2@h' })).toThrow(
    /^url must be a URL like rediss:[^2]*$/,
  );
});
