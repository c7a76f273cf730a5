import { describe, expect, it } from 'vitest';
import { NO_LIMITS, useLogs } from '../../test/redis-log.ts';
import { REDIS_WAYS } from '../../test/redis-ways.ts';
import { uniqueName } from '../../test/support.ts';
import { LIMITS } from '../world/limits.ts';
import { ALL_STREAMS_KEY, countsTokenKey } from './keys.ts';
import { createRedisCounters, createRedisGauges } from './metrics.ts';
import { createStreamPlaces } from './stream-places.ts';

describe.each(REDIS_WAYS)('metrics in Redis: %s', (_, openWay) => {
  const logs = useLogs(openWay);

  it('[G2a] counts add up, and a repeated flush adds nothing', async () => {
    const counters = createRedisCounters(logs.redis());
    const [a, b] = [uniqueName('field'), uniqueName('field')];
    await counters.add(uniqueName('flush'), new Map([[a, 2]]));
    const token = uniqueName('flush');
    const counts = new Map([
      [a, 1],
      [b, 2 ** 50],
    ]);
    await counters.add(token, counts);
    await counters.add(token, counts);
    const read = await counters.read();
    expect([read.get(a), read.get(b)]).toEqual([3, 2 ** 50]);
    const known = await logs.redis().command('TTL', countsTokenKey(token));
    expect(known).toBeGreaterThan(LIMITS.metricsTokenSeconds / 2);
  });

  it('[G5] gauges add up the backlogs of all tenants, and count open streams', async () => {
    const redis = logs.redis();
    const limits = { ...NO_LIMITS, entriesMax: 10 };
    const read = async () => {
      const gauges = await createRedisGauges(redis, limits).readGauges();
      return Object.fromEntries(gauges.map(({ name, value }) => [name.replace('worldkeep_', ''), value]));
    };
    expect(await read()).toEqual({
      backlog_spaces: 0,
      backlog_operations: 0,
      backlog_entries: 0,
      backlog_bytes: 0,
      backlog_oldest_seconds: 0,
      backlog_used_ratio: 0,
      streams: 0,
    });
    const [one, other] = [await logs.openSpace(), await logs.openSpace()];
    const ops = '[{"op":"delete","id":"a"},{"op":"delete","id":"b"}]';
    await one.add({ entries: [{ ops, count: 2 }] });
    for (let i = 0; i < 4; i++) await other.add();
    const places = createStreamPlaces(redis);
    const place = (streamId: string, changes = {}) => ({
      ...one.address,
      streamId,
      principal: 'k:one',
      spaceMax: 9,
      principalMax: 9,
      ...changes,
    });
    await places.take(place('a'), 60_000);
    await places.take(place('b', other.address), 60_000);
    await places.take(place('c'), 60_000);
    // Its lease has ended.
    await redis.command('ZADD', ALL_STREAMS_KEY, '1', 'late');
    await places.release(place('c'));
    const full = await read();
    expect(full).toMatchObject({
      backlog_spaces: 2,
      backlog_operations: 6,
      backlog_entries: 5,
      backlog_used_ratio: 0.4,
      streams: 2,
    });
    expect(full.backlog_bytes).toBeGreaterThan(0);
    expect(full.backlog_oldest_seconds).toBeGreaterThan(0);
    const [{ seq }] = [await other.add()];
    await other.settle(seq);
    expect(await read()).toMatchObject({ backlog_spaces: 1, backlog_entries: 1, backlog_used_ratio: 0.1 });
  });
});
