import { afterAll, beforeAll, expect, it } from 'vitest';
import type { HttpFront } from '../../dev/fronts/http.ts';
import { startUpstashFront } from '../../dev/fronts/upstash.ts';
import { stack, uniqueName } from '../../test/support.ts';
import { openUpstash, pingRedis } from './client.ts';

let front: HttpFront;
beforeAll(async () => {
  const { redisUrl, redisRestToken } = stack();
  front = await startUpstashFront({ redisUrl, token: redisRestToken, port: 0 });
});
afterAll(() => front?.close());

const open = (timeoutMs = 5_000) => openUpstash({ url: front.url, token: stack().redisRestToken, timeoutMs });

it('keeps text that looks like a number, or like JSON, as text', async () => {
  const redis = open();
  const key = uniqueName('text');
  for (const text of ['123', '{"a":1}', 'null', 'OK', 'žluťoučký 🐎']) {
    await redis.set(key, text);
    expect(await redis.get(key)).toBe(text);
  }
});

it('gives a command up that is not answered in time, rather than take it for answered', async () => {
  const fault = front.faults.inject({ kind: 'latency', latencyMs: 300_000, match: 'eval' });
  await expect(open(100).eval('return 1', [], [])).rejects.toThrow();
  expect(fault.hits).toBe(1);
  front.faults.clear();
});

it('runs a script once, even if its answer is lost', async () => {
  const redis = open();
  const key = uniqueName('once');
  front.faults.inject({ kind: 'drop-reply', times: 1, match: 'incr' });
  await expect(redis.eval("return redis.call('incr', KEYS[1])", [key], [])).rejects.toThrow();
  expect(await redis.get(key)).toBe('1');
});

it('says that Redis is away, in its own words', async () => {
  await expect(pingRedis(open())).resolves.toBeUndefined();
  front.faults.inject({ kind: 'refuse', times: 1 });
  await expect(pingRedis(open())).rejects.toMatchObject({
    code: 'store_unavailable',
    message: 'Redis does not answer.',
  });
  const stranger = openUpstash({ url: front.url, token: 'another', timeoutMs: 5_000 });
  await expect(pingRedis(stranger)).rejects.toMatchObject({ code: 'store_unavailable' });
});
