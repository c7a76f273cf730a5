import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REDIS_WAYS, type RedisWay } from '../../test/redis-ways.ts';
import { uniqueName } from '../../test/support.ts';
import type { RedisClient } from './client.ts';
import { createFinishedJobs } from './jobs.ts';
import { finishedJobKey } from './keys.ts';

describe.each(REDIS_WAYS)('finished jobs, %s', (_, openWay) => {
  let way: RedisWay;
  let redis: RedisClient;
  beforeAll(async () => {
    way = await openWay();
    redis = way.open();
  });
  afterAll(async () => {
    await redis?.close();
    await way?.close();
  });

  it('are known once they are marked, each by its own delivery, and no longer than asked', async () => {
    const jobs = createFinishedJobs(redis);
    const [one, other] = [uniqueName('jwt'), uniqueName('jwt')];
    expect(await jobs.isFinished(one)).toBe(false);
    await jobs.markFinished(one, 330);
    expect([await jobs.isFinished(one), await jobs.isFinished(other)]).toEqual([true, false]);
    const ttl = await redis.command('TTL', finishedJobKey(one));
    expect(ttl).toBeGreaterThan(300);
    expect(ttl).toBeLessThanOrEqual(330);
  });
});
