import { expect, it } from 'vitest';
import { RateLimiter } from '../../src/access/rate-limiter.ts';
import { makeEnv } from '../../test/http/targets.ts';
import { makeTenant } from '../../test/tenants.ts';
import { createApp } from '../app.ts';
import { composeWorker } from '../compose-worker.ts';

it('asks no store about a credential from an address that had its tries, until it has one more', async () => {
  let nowMs = Date.now();
  const now = () => nowMs;
  const env = makeEnv({ RATE_LIMIT_UNKNOWN_CREDENTIALS_PER_MINUTE: '3', API_KEY_CACHE_SECONDS: '300' });
  const limiter = new RateLimiter(null, { now, requestsPerMinuteAlone: 1_000 });
  const app = createApp({ ...composeWorker(env), limiter, now });
  const ask = async (credential: string, address = '2001:db8::1') => {
    const headers = { Authorization: `Bearer ${credential}`, 'CF-Connecting-IP': address };
    return (await app.request('/v1/spaces', { headers })).status;
  };
  const tenant = await makeTenant();
  const [used, unused] = [await tenant.apiKey(['read']), await tenant.apiKey(['read'])];
  const guess = `wk_${tenant.tenantId}_${'x'.repeat(43)}`;

  expect(await ask(used)).toBe(200);
  for (const status of [401, 401, 401, 429, 429]) expect(await ask(guess)).toBe(status);
  expect(await ask(used)).toBe(200);
  // It is known to the database, which is not asked.
  expect(await ask(unused)).toBe(429);
  expect(await ask(unused, '2001:db8:0:0:ffff::')).toBe(429);
  expect(await ask(guess, '2001:db8:0:1::')).toBe(401);
  nowMs += 20_000;
  expect(await ask(unused)).toBe(200);
  expect(await ask(guess)).toBe(401);
  expect(await ask(guess)).toBe(429);
});
