import { describe, expect, it } from 'vitest';
import { useLogs } from '../../test/redis-log.ts';
import { REDIS_WAYS } from '../../test/redis-ways.ts';
import { uniqueName } from '../../test/support.ts';
import { LIMITS } from '../world/limits.ts';
import type { RedisClient, RedisCommand } from './client.ts';
import { createFiguresStore } from './figures.ts';
import { COUNTS_KEY, newestSpacesKey, presenceKeys, spaceStreamsKey } from './keys.ts';
import { createPresenceStore } from './presence.ts';
import { createStreamPlaces } from './stream-places.ts';

const TWO = { entries: [{ ops: '[{"op":"delete","id":"a"},{"op":"delete","id":"b"}]', count: 2 }] };

describe.each(REDIS_WAYS)('figures in Redis: %s', (_, openWay) => {
  const logs = useLogs(openWay);
  const read = (tenantId: string, fields: string[] = []) =>
    createFiguresStore(logs.redis()).readFigures(tenantId, fields);

  it('[P4] the pending entries of a tenant are added up, without entries of other tenants', async () => {
    const tenantId = uniqueName('tenant');
    const [one, two] = [await logs.openSpace({ tenantId }), await logs.openSpace({ tenantId })];
    const stranger = await logs.openSpace({ tenantId: `${tenantId}s` });
    expect((await read(tenantId)).spaces).toEqual([]);
    const { seq } = await one.add(TWO);
    await two.add();
    await stranger.add(TWO);
    const full = await read(tenantId);
    const bytes = (TWO.entries[0]?.ops.length ?? 0) + '[{"op":"delete","id":"a"}]'.length;
    expect(full.pending).toEqual({
      spaces: 2,
      operations: 3,
      entries: 2,
      bytes,
      oldestMs: expect.any(Number),
    });
    expect(full.pending.oldestMs).toBeGreaterThan(0);
    expect(full.spaces.map(({ id }) => id)).toEqual([one.address.spaceId, two.address.spaceId]);
    expect(full.spaces[0]).toMatchObject({ seq, appended: 2, pendingOperations: 2, pendingEntries: 1 });
    expect(full.deployment.pendingSpaces).toBeGreaterThanOrEqual(3);

    await one.settle(seq, { operations: 2, entries: 1, latencyMsSum: 5 });
    const later = await read(tenantId);
    expect([later.drained, later.pending.operations, later.pending.spaces]).toEqual([2, 1, 1]);
    // The space with pending operations comes first, then the newest one.
    expect(later.spaces.map(({ id }) => id)).toEqual([two.address.spaceId, one.address.spaceId]);
    expect(later.spaces[1]).toMatchObject({ seq, appended: 2, pendingOperations: 0, oldestPendingMs: 0 });
  });

  it('[P4b] the newest spaces are known for a day, and a deleted or forgotten space is not among them', async () => {
    const tenantId = uniqueName('tenant');
    const spaces = [];
    for (let i = 0; i < LIMITS.figuresSpacesMax + 3; i++) spaces.push(await logs.openSpace({ tenantId }));
    for (const space of spaces) await space.settle((await space.add()).seq, { operations: 1, entries: 1 });
    const idsOf = async () => (await read(tenantId)).spaces.map(({ id }) => id);
    const newest = spaces.map(({ address }) => address.spaceId).reverse();
    expect(await idsOf()).toEqual(newest.slice(0, LIMITS.figuresSpacesMax));
    const ttl = Number(await logs.redis().command('TTL', newestSpacesKey(tenantId)));
    expect(ttl).toBeGreaterThan(LIMITS.figuresNewestSeconds - 60);
    expect(ttl).toBeLessThanOrEqual(LIMITS.figuresNewestSeconds);
    const [last, before] = spaces.reverse();
    if (last === undefined || before === undefined) throw new Error('there are no spaces');
    await last.log.retire(last.address, last.opened.incarnation);
    await logs.redis().command('DEL', before.keys.meta);
    expect(await idsOf()).toEqual(newest.slice(2, LIMITS.figuresSpacesMax));
  });

  it('[P4] a drain that commits nothing new does not make its space one of the newest', async () => {
    const space = await logs.openSpace();
    await space.settle(space.opened.cursor);
    expect((await read(space.address.tenantId)).spaces).toEqual([]);
  });

  it('[P4] open streams and present sessions are counted, until their time is over', async () => {
    const tenantId = uniqueName('tenant');
    const [one, two] = [await logs.openSpace({ tenantId }), await logs.openSpace({ tenantId })];
    for (const space of [one, two]) await space.add();
    const [places, presence] = [createStreamPlaces(logs.redis()), createPresenceStore(logs.redis())];
    const place = (streamId: string, { address } = one) => ({
      ...{ ...address, streamId: uniqueName(streamId), principal: 'k:one', spaceMax: 9, principalMax: 9 },
    });
    const closed = place('closed');
    for (const opened of [place('a'), place('b', two), closed]) await places.take(opened, 60_000);
    await places.release(closed);
    await logs.redis().command('ZADD', spaceStreamsKey(one.address), '1', 'late');
    for (const sessionId of ['s1', 's2']) await presence.touch({ ...one.address, userId: 'ann', sessionId });
    await logs.redis().command('ZADD', presenceKeys(one.address)[0], '1', 'bob!late');
    const { streams, spaces } = await read(tenantId);
    expect(streams).toBe(2);
    expect(spaces.map(({ id, streams, sessions }) => [id, streams, sessions])).toEqual([
      [two.address.spaceId, 1, 0],
      [one.address.spaceId, 1, 2],
    ]);
  });

  it('[P5] the counts of the deployment are read by field, and a missing one is 0', async () => {
    const [there, missing] = [uniqueName('field'), uniqueName('field')];
    await logs.redis().command('HSET', COUNTS_KEY, there, '7');
    const { deployment } = await read(uniqueName('tenant'), [there, missing]);
    expect([...deployment.counts]).toEqual([
      [there, 7],
      [missing, 0],
    ]);
  });

  it('[P4] an answer is two commands, and adds up at most 1,000 spaces', async () => {
    const tenantId = uniqueName('tenant');
    const redis = logs.redis();
    const count = LIMITS.figuresPendingSpacesMax + 50;
    const commands = Array.from({ length: count }, (_, i) => [
      [
        'HSET',
        `wk:{${tenantId}!s${i}}:meta`,
        'incarnation',
        'i',
        'counts',
        '3 1 10',
        'settled',
        '1 0 4',
        'last',
        '9',
      ],
      ['ZADD', `wk:dirty:${i % 16}`, String(i + 1), `${tenantId}!s${i}`],
    ]).flat() as unknown as RedisCommand[];
    await redis.pipeline(commands);
    let calls = 0;
    const counted: RedisClient = {
      ...redis,
      eval: (...args) => {
        calls++;
        return redis.eval(...args);
      },
      command: () => Promise.reject(new Error('another command')),
      pipeline: () => Promise.reject(new Error('a pipeline')),
    };
    const { pending, spaces } = await createFiguresStore(counted).readFigures(tenantId, []);
    expect(calls).toBe(2);
    expect([pending.spaces, pending.operations, pending.entries]).toEqual([1_000, 2_000, 1_000]);
    expect(spaces).toHaveLength(LIMITS.figuresSpacesMax);
    await redis.pipeline(
      Array.from({ length: count }, (_, i) => ['ZREM', `wk:dirty:${i % 16}`, `${tenantId}!s${i}`] as const),
    );
  });
});
