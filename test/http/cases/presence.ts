import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stack, uniqueName } from '../../support.ts';
import { createCall, type Door, openSpace, waitUntilReady } from '../client.ts';
import type { Runtime } from '../runtimes.ts';
import type { Target } from '../targets.ts';
import { openSession } from './people.ts';

const SILENT_MS = 60_000;

export function describePresence(target: () => Target): void {
  describe('presence', () => {
    let redis: Redis;
    beforeAll(() => {
      redis = new Redis(stack().redisUrl);
      redis.setMaxListeners(0);
    });
    afterAll(() => redis?.disconnect());

    /** A space with a log, in a tenant with these people. */
    async function open(...people: string[]) {
      const door = await openSpace(target());
      for (const id of people) await door.call('PUT', `/v1/users/${id}`, { json: { displayName: id } });
      await door.call('PUT', `${door.at}/objects/o`, { json: {} });
      const prefix = `wk:{${door.tenantId}!here}`;
      return {
        ...door,
        enter: (userId: string, input = {}) => openSession(target(), door, { userId, ...input }),
        age: (userId: string, sessionId: string, ms: number) =>
          redis.zincrby(`${prefix}:presence:stays`, -ms, `${userId}!${sessionId}`),
        channel: `${prefix}:${await redis.hget(`${prefix}:meta`, 'incarnation')}:live`,
      };
    }
    const list = async (door: Pick<Door, 'call'>, path = '/v1/spaces/here') => {
      const { status, body } = await door.call('GET', `${path}/presence`);
      expect(status).toBe(200);
      return body.items.map(({ userId, sessions }: { userId: string; sessions: number }) => [
        userId,
        sessions,
      ]);
    };

    it('lists people while they have a session, once each, to keys and sessions', async () => {
      const door = await open('ann', 'bob');
      expect(await list(door)).toEqual([]);
      const bob = await door.enter('bob');
      const [ann, again] = [await door.enter('ann'), await door.enter('ann')];
      for (const who of [door, ann, bob])
        expect(await list(who)).toEqual([
          ['ann', 2],
          ['bob', 1],
        ]);
      await ann.call('DELETE', `/v1/sessions/${ann.id}`);
      expect(await list(bob)).toEqual([
        ['ann', 1],
        ['bob', 1],
      ]);
      await door.call('DELETE', `/v1/sessions/${again.id}`);
      await door.call('DELETE', `/v1/sessions/${again.id}`);
      expect(await list(bob)).toEqual([['bob', 1]]);
    });

    it('gives pages of people with the times when they joined and were last seen', async () => {
      const door = await open('ann', 'bob', 'cy');
      for (const userId of ['cy', 'ann', 'bob']) await door.enter(userId);
      const first = await door.call('GET', `${door.at}/presence?limit=2`);
      expect(first.body.items.map(({ userId }: { userId: string }) => userId)).toEqual(['ann', 'bob']);
      const { joinedAt, lastSeenAt } = first.body.items[0];
      expect(Date.parse(lastSeenAt)).toBeGreaterThanOrEqual(Date.parse(joinedAt));
      const cursor = encodeURIComponent(first.body.nextCursor);
      const second = await door.call('GET', `${door.at}/presence?limit=2&cursor=${cursor}`);
      expect(second.body).toMatchObject({ items: [{ userId: 'cy', sessions: 1 }], nextCursor: null });
      for (const query of ['limit=0', 'limit=1001', 'cursor=none', 'since=1'])
        expect((await door.call('GET', `${door.at}/presence?${query}`)).status).toBe(422);
    });

    it('ends after 60 s of silence, and begins again with a heartbeat', async () => {
      const door = await open('ann', 'bob');
      const [ann, bob] = [await door.enter('ann'), await door.enter('bob')];
      await door.age('ann', ann.id, SILENT_MS);
      await door.age('bob', bob.id, SILENT_MS - 10_000);
      expect(await list(door)).toEqual([['bob', 1]]);
      expect((await ann.call('POST', `/v1/sessions/${ann.id}/heartbeat`)).status).toBe(204);
      expect((await bob.call('POST', `/v1/sessions/${bob.id}/heartbeat`)).status).toBe(204);
      await door.age('bob', bob.id, 10_000);
      expect(await list(door)).toEqual([
        ['ann', 1],
        ['bob', 1],
      ]);
    });

    it('publishes each change once on the space’s live channel', async () => {
      const door = await open('ann');
      const messages: string[] = [];
      const subscriber = redis.duplicate();
      subscriber.on('message', (_, message) => messages.push(message));
      await subscriber.subscribe(door.channel);
      const [ann, again] = [await door.enter('ann'), await door.enter('ann')];
      await ann.call('POST', `/v1/sessions/${ann.id}/heartbeat`);
      await ann.call('DELETE', `/v1/sessions/${ann.id}`);
      await door.age('ann', again.id, SILENT_MS);
      await Promise.all([list(door), list(door), list(door)]);
      await redis.publish(door.channel, 'the end');
      await expect.poll(() => messages.at(-1)).toBe('the end');
      subscriber.disconnect();
      const told = messages.slice(0, -1).map((message) => JSON.parse(message));
      expect(told).toEqual(
        ['join', 'time_out'].map((event) => ({
          presence: { event, userId: 'ann', at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/) },
        })),
      );
    });

    it('ends immediately with the person and with the space, and a space created again begins empty', async () => {
      const door = await open('ann', 'bob');
      await door.call('PUT', '/v1/spaces/there', { json: { name: 'There' } });
      for (const spaceId of ['here', 'there'])
        for (const userId of ['ann', 'bob']) await door.enter(userId, { spaceId });
      const old = await door.enter('bob');
      expect((await door.call('DELETE', '/v1/users/ann')).status).toBe(204);
      expect([await list(door), await list(door, '/v1/spaces/there')]).toEqual([[['bob', 2]], [['bob', 1]]]);
      expect((await door.call('DELETE', door.at)).status).toBe(204);
      expect((await door.call('GET', `${door.at}/presence`)).status).toBe(404);
      expect((await door.call('POST', `/v1/sessions/${old.id}/heartbeat`)).status).toBe(404);
      await door.call('PUT', door.at, { json: { name: 'Again' } });
      expect(await list(door)).toEqual([]);
      expect(await list(door, '/v1/spaces/there')).toEqual([['bob', 1]]);
    });

    it('of another tenant is not shown, also with the same names', async () => {
      const [door, stranger] = [await open('ann'), await open('ann')];
      await door.enter('ann');
      expect(await list(stranger)).toEqual([]);
      const read = createCall(target(), await stranger.apiKey(['read']));
      await door.call('PUT', '/v1/spaces/secret', { json: { name: 'Secret' } });
      await door.enter('ann', { spaceId: 'secret' });
      expect((await read('GET', '/v1/spaces/secret/presence')).status).toBe(404);
    });

    it('leaves an avatar where it was, until its person comes back', async () => {
      const door = await open('ann');
      const ann = await door.enter('ann', { role: 'editor' });
      const place = { position: { x: 1.5, y: 0.1, z: -7 }, rotation: { x: 0, y: 0.6, z: 0, w: 0.8 } };
      const ops = [{ op: 'user.patch', id: 'ann', ...place, properties: { hat: 'red' } }];
      const moved = await ann.call('POST', `${door.at}/updates`, {
        json: { ops },
        headers: { Prefer: 'wait' },
      });
      expect(moved.body.results).toEqual([{ id: 'ann', status: 'applied' }]);
      await ann.call('DELETE', `/v1/sessions/${ann.id}`);
      expect(await list(door)).toEqual([]);
      const back = await door.enter('ann');
      const { body } = await back.call('GET', `${door.at}/state?include=users`);
      expect(body.users).toMatchObject([{ id: 'ann', ...place, properties: { hat: 'red' } }]);
      expect(await list(back)).toEqual([['ann', 1]]);
    });
  });
}

/** Cases without a Redis, with a Redis that is away, and the cost of a heartbeat. */
export function describePresenceElsewhere({
  start,
  makeEnv,
  withoutRedis,
  openFragileStores,
  openOwnRedis,
}: Runtime): void {
  describe('presence, elsewhere', () => {
    async function enter(target: Target) {
      const door = await openSpace(target);
      await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
      return { ...door, ann: await openSession(target, door, {}) };
    }

    it('without a Redis is 501, and sessions work as usual', async () => {
      const target = await start(makeEnv(withoutRedis));
      try {
        const { ann, at, call } = await enter(target);
        for (const from of [ann.call, call]) {
          const { status, body } = await from('GET', `${at}/presence`);
          expect([status, body.code]).toEqual([501, 'no_presence']);
        }
        expect((await ann.call('POST', `/v1/sessions/${ann.id}/heartbeat`)).status).toBe(204);
        expect((await ann.call('DELETE', `/v1/sessions/${ann.id}`)).status).toBe(204);
        expect((await call('DELETE', '/v1/users/ann')).status).toBe(204);
        expect((await call('DELETE', at)).status).toBe(204);
      } finally {
        await target.stop();
      }
    });

    it.each(['refuse', 'hang'] as const)(
      'with Redis away (%s) is 503, and sessions can still be created, kept alive and ended',
      async (fault) => {
        const stores = await openFragileStores();
        const target = await start(makeEnv({ ...stores.env, REDIS_TIMEOUT_MS: '1000' }));
        try {
          const door = await enter(target);
          const { ann, at, call } = door;
          stores.redis.inject(fault);
          const listed = await call('GET', `${at}/presence`);
          expect([listed.status, listed.body.code]).toEqual([503, 'store_unavailable']);
          expect(Number(listed.headers.get('Retry-After'))).toBeGreaterThan(0);
          const other = await openSession(target, door, {});
          expect((await ann.call('POST', `/v1/sessions/${ann.id}/heartbeat`)).status).toBe(204);
          expect((await ann.call('DELETE', `/v1/sessions/${ann.id}`)).status).toBe(204);
          stores.redis.clear();
          await waitUntilReady(target);
          // The next heartbeat adds the missing people.
          expect((await other.call('POST', `/v1/sessions/${other.id}/heartbeat`)).status).toBe(204);
          const { body } = await call('GET', `${at}/presence`);
          expect(body.items).toMatchObject([{ userId: 'ann' }]);
        } finally {
          stores.redis.clear();
          await target.stop();
          await stores.close();
        }
      },
    );

    it('costs one command for a heartbeat, and one for a list', async () => {
      const redis = await openOwnRedis();
      const target = await start(
        makeEnv({
          ...redis.env,
          RATE_LIMIT_REQUESTS_PER_MINUTE: '0',
          // The events of the server itself come half a second later.
          ANALYTICS_ENABLED: 'false',
          DEFAULT_TENANT_ID: uniqueName('t'),
        }),
      );
      try {
        const { ann, at } = await enter(target);
        const beat = () => ann.call('POST', `/v1/sessions/${ann.id}/heartbeat`);
        const list = () => ann.call('GET', `${at}/presence`);
        await list();
        for (const ask of [beat, list]) {
          const commands = await redis.listCommands(async () => {
            expect((await ask()).status).toBeLessThan(300);
          });
          expect(commands).toEqual(['evalsha']);
        }
      } finally {
        await target.stop();
        await redis.close();
      }
    });
  });
}
