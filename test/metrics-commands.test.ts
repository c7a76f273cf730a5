import { createHash } from 'node:crypto';
import { expect, it, onTestFinished } from 'vitest';
import { listRedisCommands } from '../dev/redis-monitor.ts';
import type { RedisScript } from '../src/redis/client.ts';
import { ADD_COUNTS, APPEND } from '../src/redis/scripts.ts';
import { dropUpstashFlag } from '../src/redis/tcp.ts';
import { LIMITS } from '../src/world/limits.ts';
import { openSpace } from './http/client.ts';
import { startNode } from './http/node-target.ts';
import { openOwnRedis } from './http/own-redis.ts';
import { OVER_TCP } from './http/runtimes.ts';

const REQUESTS = 300;
const AT_ONCE = 10;

/** The name by which Redis runs it. */
function nameScript({ source }: RedisScript): string {
  return createHash('sha1').update(dropUpstashFlag(source)).digest('hex');
}

it('[G2] with metrics, an append is still one command, and its process flushes once in ten seconds', async () => {
  const redis = await openOwnRedis('tcp');
  onTestFinished(() => redis.close());
  const target = await startNode(
    OVER_TCP.makeEnv({ ...redis.env, METRICS_TOKEN: 'a-token-for-metrics-only' }),
  );
  onTestFinished(() => target.stop());
  const { at, call } = await openSpace(target);
  const send = async () => {
    const { status } = await call('POST', `${at}/updates`, { json: { ops: [{ op: 'put', id: 'a' }] } });
    expect(status).toBe(202);
  };
  // Its log is opened, and its scripts are known.
  await send();
  const startMs = Date.now();
  const seen = await listRedisCommands(redis.client, async () => {
    for (let i = 0; i < REQUESTS; i += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, send));
  });
  const flushesMax = 1 + Math.floor((Date.now() - startMs) / LIMITS.metricsFlushMs);
  const sent = seen.filter(({ source }) => source !== 'lua');
  const countOf = (script: RedisScript) =>
    sent.filter(({ argument }) => argument === nameScript(script)).length;
  expect(countOf(APPEND)).toBe(REQUESTS);
  expect(countOf(ADD_COUNTS)).toBeLessThanOrEqual(flushesMax);
  // All other commands are of drains: they are fewer than the appends.
  expect(sent.length).toBeLessThan(2 * REQUESTS);
});
