import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { REDIS_WAYS, type RedisWay } from '../../test/redis-ways.ts';
import { stack, uniqueName } from '../../test/support.ts';
import type { RedisClient } from '../redis/client.ts';
import { createPresenceStore } from '../redis/presence.ts';
import { LIMITS } from '../world/limits.ts';
import { Presence, type PresenceSpace } from './presence.ts';

const SILENT_MS = LIMITS.presenceSilentMsMax;

interface Told {
  event: string;
  userId: string;
  at: string;
}

describe.each(REDIS_WAYS)('Presence, %s', (_, openWay) => {
  let way: RedisWay;
  let redis: RedisClient;
  let subscriber: Redis;
  beforeAll(async () => {
    way = await openWay();
    redis = way.open();
    subscriber = new Redis(stack().redisUrl);
    subscriber.setMaxListeners(0);
  });
  afterAll(async () => {
    subscriber?.disconnect();
    await redis?.close();
    await way?.close();
  });

  /** A space of the test's own, with a log unless told otherwise, and all that is published of it. */
  async function openSpace({ hasLog = true, tenantId = uniqueName('t'), spaceId = uniqueName('s') } = {}) {
    const space: PresenceSpace = { tenantId, spaceId };
    const prefix = `wk:{${tenantId}!${spaceId}}`;
    const incarnation = uniqueName('i');
    if (hasLog) await redis.command('HSET', `${prefix}:meta`, 'incarnation', incarnation);
    const messages: string[] = [];
    const channel = `${prefix}:${incarnation}:live`;
    subscriber.on('message', (from, message) => from === channel && messages.push(message));
    await subscriber.subscribe(channel);
    const presence = new Presence(createPresenceStore(redis));
    const stay = (userId: string, sessionId = `${userId}-1`) => ({ ...space, userId, sessionId });
    return {
      space,
      prefix,
      presence,
      stay,
      touch: (userId: string, sessionId?: string) => presence.touch(stay(userId, sessionId)),
      leave: (userId: string, sessionId?: string) => presence.leave(stay(userId, sessionId)),
      list: async () => (await presence.list(space)).items,
      /** Lets stays have been silent for longer than they were. */
      async age(userId: string, ms: number, sessionId = `${userId}-1`) {
        const member = `${userId}!${sessionId}`;
        await redis.command('ZINCRBY', `${prefix}:presence:stays`, String(-ms), member);
      },
      /** The messages published so far. */
      async told(): Promise<Told[]> {
        await redis.command('PUBLISH', channel, 'the end');
        await vi.waitFor(() => expect(messages.at(-1)).toBe('the end'));
        const said = messages.splice(0).slice(0, -1);
        return said.map((message) => (JSON.parse(message) as { presence: Told }).presence);
      },
    };
  }
  const brief = (told: readonly Told[]) => told.map(({ event, userId }) => `${userId} ${event}`);

  it.each(['stays', 'people', 'names'])(
    '[R3g] a space that lost its %s forgets all its people; they join again with a heartbeat',
    async (lost) => {
      const { prefix, touch, leave, list } = await openSpace();
      await touch('ann');
      await touch('mia');
      await redis.command('DEL', `${prefix}:presence:${lost}`);
      await touch('ann');
      expect((await list()).map(({ userId }) => userId)).toEqual(['ann']);
      await touch('mia');
      await leave('ann');
      expect((await list()).map(({ userId }) => userId)).toEqual(['mia']);
    },
  );

  it('lists who is there by their ids, a page at a time', async () => {
    const { presence, space, touch } = await openSpace();
    const before = Date.now();
    for (const userId of ['cy', 'ann-x', 'bob', 'ann', 'Zed']) await touch(userId);
    await touch('ann', 'ann-2');
    const first = await presence.list({ ...space, limit: '2' });
    const second = await presence.list({ ...space, limit: 2, cursor: first.nextCursor ?? '' });
    const third = await presence.list({ ...space, limit: 2, cursor: second.nextCursor ?? '' });
    expect([first, second, third].map(({ items }) => items.map(({ userId }) => userId))).toEqual([
      ['Zed', 'ann'],
      ['ann-x', 'bob'],
      ['cy'],
    ]);
    expect(third.nextCursor).toBeNull();
    const ann = first.items[1];
    expect(ann).toEqual({
      userId: 'ann',
      sessions: 2,
      joinedAt: expect.any(String),
      lastSeenAt: expect.any(String),
    });
    expect(Math.abs(Date.parse(ann?.joinedAt ?? '') - before)).toBeLessThan(10_000);
    expect(Date.parse(ann?.lastSeenAt ?? '')).toBeGreaterThanOrEqual(Date.parse(ann?.joinedAt ?? ''));
    await expect(presence.list({ ...space, limit: 0 })).rejects.toMatchObject({ code: 'validation_failed' });
    await expect(presence.list({ ...space, cursor: '?' })).rejects.toMatchObject({
      code: 'validation_failed',
    });
  });

  it('says once that a person has joined and left, however many sessions they have', async () => {
    const { touch, leave, told, list } = await openSpace();
    for (const sessionId of ['1', '2', '1', '2', '1']) await touch('ann', sessionId);
    await leave('ann', '1');
    await leave('ann', '1');
    await leave('ann', 'unknown');
    expect(await list()).toMatchObject([{ userId: 'ann', sessions: 1 }]);
    await leave('ann', '2');
    await leave('ann', '2');
    // A request that was in flight when they ended.
    await touch('ann', '1');
    await touch('ann', '2');
    expect(await list()).toEqual([]);
    const said = await told();
    expect(brief(said)).toEqual(['ann join', 'ann leave']);
    for (const { at } of said) expect(new Date(at).toISOString()).toBe(at);
  });

  it('takes out who was silent for 60 s, says so once, and lets them join again', async () => {
    const { space, presence, touch, age, told, list } = await openSpace();
    for (const userId of ['ann', 'bob']) await touch(userId);
    await touch('ann', 'ann-2');
    await age('ann', SILENT_MS);
    await age('bob', SILENT_MS - 5_000);
    expect(await list()).toMatchObject([
      { userId: 'ann', sessions: 1 },
      { userId: 'bob', sessions: 1 },
    ]);
    await age('bob', 5_000);
    await age('ann', SILENT_MS, 'ann-2');
    const swept = await Promise.all(Array.from({ length: 10 }, () => presence.sweep(space)));
    expect(swept.reduce((sum, count) => sum + count)).toBe(2);
    expect(await list()).toEqual([]);
    expect(brief(await told()).toSorted()).toEqual(['ann join', 'ann time_out', 'bob join', 'bob time_out']);
    await touch('ann');
    expect(brief(await told())).toEqual(['ann join']);
  });

  it('takes out who was silent when anybody else is heard of', async () => {
    const { touch, age, told } = await openSpace();
    await touch('ann');
    await age('ann', SILENT_MS);
    await touch('bob');
    expect(brief(await told())).toEqual(['ann join', 'ann time_out', 'bob join']);
    // Late, but heard of after all: they were away in between.
    await age('bob', SILENT_MS);
    await touch('bob');
    expect(brief(await told())).toEqual(['bob time_out', 'bob join']);
  });

  it('never lists silent people, even if there are more than one command removes', async () => {
    const { space, prefix, presence } = await openSpace();
    const users = Array.from({ length: 2_500 }, (_, i) => `u${i}`);
    const then = String(Date.now() - SILENT_MS - 1_000);
    const { stays, people, names } = {
      stays: users.flatMap((id) => [then, `${id}!s`]),
      people: users.flatMap((id) => [id, `${then} ${then} 1`]),
      names: users.flatMap((id) => ['0', id]),
    };
    await redis.pipeline([
      ['ZADD', `${prefix}:presence:stays`, ...stays],
      ['HSET', `${prefix}:presence:people`, ...people],
      ['ZADD', `${prefix}:presence:names`, ...names],
    ]);
    expect((await presence.list({ ...space, limit: 1_000 })).items).toEqual([]);
    const counts = [await presence.sweep(space), await presence.sweep(space), await presence.sweep(space)];
    expect(counts).toEqual([1_000, 500, 0]);
    expect(await redis.command('EXISTS', `${prefix}:presence:names`, `${prefix}:presence:people`)).toBe(0);
  });

  it('ends all sessions of a person together, and nobody else’s', async () => {
    const { space, presence, touch, told, list } = await openSpace();
    for (const [userId, sessionId] of [
      ['ann', '1'],
      ['ann', '2'],
      ['ann-x', '1'],
    ] as const)
      await touch(userId, sessionId);
    await presence.leaveWhole({ ...space, userId: 'ann' });
    await presence.leaveWhole({ ...space, userId: 'nobody' });
    await touch('ann', '2');
    expect(await list()).toMatchObject([{ userId: 'ann-x' }]);
    expect(brief(await told())).toEqual(['ann join', 'ann-x join', 'ann leave']);
  });

  it('publishes nothing where the space has no log, or was deleted, and lists all the same', async () => {
    const silent = await openSpace({ hasLog: false });
    await silent.touch('ann');
    expect(await silent.list()).toHaveLength(1);
    expect(await silent.told()).toEqual([]);
    const gone = await openSpace();
    await gone.touch('ann');
    await redis.command('HSET', `${gone.prefix}:meta`, 'deleted', '1');
    await gone.leave('ann');
    expect(brief(await gone.told())).toEqual(['ann join']);
  });

  it('keeps tenants and spaces apart', async () => {
    const one = await openSpace({ spaceId: 'same' });
    const [other, beside] = [
      await openSpace({ spaceId: 'same' }),
      await openSpace({ tenantId: one.space.tenantId }),
    ];
    await one.touch('ann');
    expect([await other.list(), await beside.list()]).toEqual([[], []]);
    await other.leave('ann');
    await other.presence.clear(other.space);
    expect(await one.list()).toHaveLength(1);
    await one.presence.clear(one.space);
    expect(await one.list()).toEqual([]);
    expect(brief(await one.told())).toEqual(['ann join']);
  });

  it('asks one command for each, and lets a space’s people expire together', async () => {
    const { space, prefix, stay } = await openSpace();
    const calls: string[] = [];
    const presence = new Presence(
      createPresenceStore({
        ...redis,
        eval: (...args) => {
          calls.push('eval');
          return redis.eval(...args);
        },
      }),
    );
    await presence.touch(stay('ann'));
    await presence.list(space);
    await presence.sweep(space);
    const keys = ['stays', 'people', 'names'].map((name) => `${prefix}:presence:${name}`);
    const expiries = await redis.pipeline(keys.map((key) => ['PEXPIRETIME', key] as const));
    expect(new Set(expiries).size).toBe(1);
    expect(Math.abs(Number(expiries[0]) - Date.now() - LIMITS.presenceKeptMs)).toBeLessThan(10_000);
    await presence.leave(stay('ann'));
    expect(calls).toHaveLength(4);
    expect(await redis.command('EXISTS', ...keys)).toBe(0);
    const left = Number(await redis.command('PTTL', `${prefix}:presence:ended`));
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(LIMITS.presenceKeptMs);
  });

  it('forgets which stays have ended when nothing can be on its way any more', async () => {
    const { prefix, touch, leave, list } = await openSpace();
    await touch('ann');
    await leave('ann');
    const key = `${prefix}:presence:ended`;
    await redis.command('ZINCRBY', key, String(-LIMITS.presenceKeptMs), 'ann-1');
    await touch('bob');
    await leave('bob');
    expect(await redis.command('ZRANGE', key, '0', '-1')).toEqual(['bob-1']);
    await touch('bob');
    expect(await list()).toEqual([]);
  });

  it('says of any history what a person’s sessions say', async () => {
    const step = fc.tuple(
      fc.constantFrom('touch', 'touch', 'touch', 'leave', 'time_out', 'time_out'),
      fc.constantFrom('ann', 'bob'),
      fc.constantFrom('1', '2', '3', '4'),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const { space, presence, touch, leave, age, told, list } = await openSpace();
        const there: Record<string, Set<string>> = { ann: new Set(), bob: new Set() };
        const ended = new Set<string>();
        const expected: string[] = [];
        for (const [verb, userId, number] of steps) {
          const sessionId = `${userId}-${number}`;
          const own = there[userId] as Set<string>;
          const before = own.size;
          if (verb === 'touch') {
            if (!ended.has(`${userId} ${sessionId}`)) own.add(sessionId);
            await touch(userId, sessionId);
          } else {
            const wasThere = own.delete(sessionId);
            if (verb === 'leave') {
              ended.add(`${userId} ${sessionId}`);
              await leave(userId, sessionId);
            }
            if (verb === 'time_out' && wasThere) {
              await age(userId, SILENT_MS, sessionId);
              await presence.sweep(space);
            }
          }
          if (before === 0 && own.size === 1) expected.push(`${userId} join`);
          if (before > 0 && own.size === 0) expected.push(`${userId} ${verb}`);
        }
        expect(brief(await told())).toEqual(expected);
        expect((await list()).map(({ userId, sessions }) => [userId, sessions])).toEqual(
          ['ann', 'bob'].flatMap((id) => (there[id]?.size ? [[id, there[id].size]] : [])),
        );
      }),
      { numRuns: 25 },
    );
  });

  it('writes times as RFC 3339 says, of any day until 9999', async () => {
    const shared = readFileSync(new URL('../redis/scripts/shared/presence.lua', import.meta.url), 'utf8');
    const script = {
      source: `#!lua flags=allow-key-locking\n${shared}
        local written = {}
        for i = 1, #ARGV do written[i] = writeTime(tonumber(ARGV[i])) end
        return written`,
    };
    const edges = ['2000-02-29', '2100-02-28', '2100-03-01', '2026-12-31', '2027-01-01', '2028-02-29'];
    const times = [
      ...[0, Date.UTC(10_000, 0, 1) - 1, ...edges.map((day) => Date.parse(day) - 1)],
      ...edges.map((day) => Date.parse(day)),
      ...fc.sample(fc.integer({ min: 0, max: Date.UTC(10_000, 0, 1) - 1 }), 2_000),
    ];
    const keys = ['a', 'b', 'c', 'd', 'e'].map((name) => `wk:{none}:${name}`);
    expect(await redis.eval(script, keys, times.map(String))).toEqual(
      times.map((ms) => new Date(ms).toISOString()),
    );
  });

  // The last: it cuts off every connection of this way.
  it('rejects while Redis is away', async () => {
    const client = way.open({ timeoutMs: 300 });
    await client.ping();
    const presence = new Presence(createPresenceStore(client));
    const stay = { tenantId: 't', spaceId: 's', userId: 'u', sessionId: 'x' };
    way.inject({ kind: 'refuse' });
    try {
      for (const call of [
        () => presence.touch(stay),
        () => presence.list(stay),
        () => presence.sweep(stay),
        () => presence.leave(stay),
      ])
        await expect(call()).rejects.toMatchObject({ code: 'store_unavailable' });
    } finally {
      way.clear();
      await client.close();
    }
  });
});
