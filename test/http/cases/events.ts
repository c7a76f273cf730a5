import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Postgres } from '../../../src/postgres/client.ts';
import { type EventRow, readEvents } from '../../event-rows.ts';
import { openTestPg } from '../../layers.ts';
import { type Call, createCall, type Door, openDoor, openSpace } from '../client.ts';
import { makeGlb } from '../glb.ts';
import type { Runtime } from '../runtimes.ts';
import type { Target } from '../targets.ts';
import { openSession } from './people.ts';

const send = (call: Call, ...events: object[]) => call('POST', '/v1/events', { json: { events } });

export function describeEvents(target: () => Target, runtime: Runtime): void {
  describe('events', () => {
    let postgres: Postgres;
    beforeAll(() => {
      postgres = openTestPg();
    });
    afterAll(() => postgres?.close());

    /** A process that has ended may hold the claim of the drain for some seconds. The next append claims it again. */
    async function waitForEvents(
      { tenantId, call }: Door,
      isDone: (rows: EventRow[]) => boolean,
    ): Promise<EventRow[]> {
      let rows: EventRow[] = [];
      const look = async () => {
        await send(call, { type: 'look' });
        rows = (await readEvents(postgres, tenantId)).filter(({ type }) => type !== 'look');
        return isDone(rows);
      };
      await expect.poll(look, { interval: 200 }).toBe(true);
      return rows;
    }

    it('[E1] are taken, counted and in Postgres a moment later', async () => {
      const door = await openDoor(target());
      const sent = [
        { id: 'one', type: 'door.opened', spaceId: 'anywhere', userId: 'ann', data: { door: 'north' } },
        { type: 'session.end', userId: 'bob', data: { seconds: 5 } },
        { id: 'one', type: 'again' },
      ];
      const first = await send(door.call, ...sent);
      expect([first.status, first.body]).toEqual([202, { accepted: 2, duplicates: 1, dropped: 0 }]);
      expect((await send(door.call, { id: 'one', type: 'door.opened' })).body).toEqual({
        accepted: 0,
        duplicates: 1,
        dropped: 0,
      });
      const rows = await waitForEvents(door, ({ length }) => length >= 2);
      expect(rows).toHaveLength(2);
      expect(rows.find(({ id }) => id === 'one')).toMatchObject({
        type: 'door.opened',
        spaceId: 'anywhere',
        userId: 'ann',
        data: { door: 'north' },
      });
      const other = await openDoor(target());
      expect((await send(other.call, { id: 'one', type: 'x' })).body.accepted).toBe(1);
    });

    it('[E6a] one invalid event refuses the request, with its place', async () => {
      const door = await openDoor(target());
      const { status, body } = await send(door.call, { id: 'a', type: 'x' }, { type: 'X' });
      expect([status, body.code, body.errors[0].path]).toEqual([422, 'validation_failed', '/events/1/type']);
      expect((await send(door.call, { id: 'a', type: 'x' })).body.accepted).toBe(1);
      expect((await door.call('POST', '/v1/events?x=1', { json: { events: [{ type: 'x' }] } })).status).toBe(
        422,
      );
      const reader = createCall(target(), await door.apiKey(['read']));
      expect((await send(reader, { type: 'x' })).status).toBe(403);
      expect((await send(createCall(target(), null), { type: 'x' })).status).toBe(401);
    });

    it('[E6b] a session of any role sends events of its own person and space', async () => {
      const door = await openSpace(target());
      await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
      const { call } = await openSession(target(), door, { role: 'viewer' });
      expect((await send(call, { id: 'own', type: 'wave' })).status).toBe(202);
      const refusals = [];
      for (const event of [{ userId: 'bob' }, { spaceId: 'there' }, { type: 'session.end' }]) {
        const { status, body } = await send(call, { type: 'wave', ...event });
        refusals.push([status, body.errors[0].path]);
      }
      expect(refusals).toEqual([
        [403, '/events/0/userId'],
        [403, '/events/0/spaceId'],
        [422, '/events/0/type'],
      ]);
      const rows = await waitForEvents(door, (found) => found.some(({ id }) => id === 'own'));
      expect(rows.find(({ id }) => id === 'own')).toMatchObject({ spaceId: 'here', userId: 'ann' });
    });

    it('[E5] the server writes its own', async () => {
      const door = await openSpace(target());
      await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
      const session = await openSession(target(), door, { role: 'owner' });
      await session.call('POST', `/v1/sessions/${session.id}/heartbeat`);
      await session.call('PUT', `${door.at}/state`, { json: { objects: [{ id: 'o' }] } });
      const file = makeGlb();
      const glb = { 'Content-Type': 'model/gltf-binary', 'Content-Length': String(file.length) };
      const model = runtime.hasBucket
        ? await session.call('POST', '/v1/models?name=a.glb', { text: file, headers: glb })
        : await session.call('POST', '/v1/models', {
            json: { name: 'a.glb', url: 'https://host.example/a' },
          });
      expect(model.status).toBe(201);
      for (let i = 0; i < 2; i++) await session.call('DELETE', `/v1/sessions/${session.id}`);
      expect((await door.call('DELETE', door.at)).status).toBe(204);
      const rows = await waitForEvents(door, (found) => found.some(({ type }) => type === 'space.deleted'));
      const { bytes, contentType } = model.body;
      const about = { spaceId: 'here', userId: 'ann' };
      expect(
        rows.map(({ id, at, createdAt, ...row }) => row).sort((a, b) => a.type.localeCompare(b.type)),
      ).toEqual([
        {
          ...{ type: 'model.uploaded', spaceId: null, userId: 'ann' },
          data: { id: model.body.id, bytes, contentType },
        },
        { type: 'session.end', ...about, data: { sessionId: session.id, seconds: expect.any(Number) } },
        { type: 'session.start', ...about, data: { sessionId: session.id } },
        { type: 'space.created', spaceId: 'here', userId: null, data: {} },
        { type: 'space.deleted', spaceId: 'here', userId: null, data: {} },
        { type: 'space.saved', ...about, data: { objects: 1, mode: 'replace' } },
        { type: 'user.leave', ...about, data: { isSilent: false } },
        { type: 'user.spawn', ...about, data: {} },
      ]);
    });
  });
}

/** Cases with other settings. */
export function describeEventsElsewhere({ start, makeEnv, withoutRedis, openFragileStores }: Runtime): void {
  describe('events, elsewhere', () => {
    async function using(env: Record<string, string>, run: (target: Target) => Promise<void>): Promise<void> {
      const target = await start(makeEnv(env));
      try {
        await run(target);
      } finally {
        await target.stop();
      }
    }

    it('[E2d] are checked and dropped with ANALYTICS_ENABLED=false', async () => {
      await using({ ANALYTICS_ENABLED: 'false' }, async (target) => {
        const { call } = await openSpace(target);
        const answer = await send(call, { type: 'x' });
        expect([answer.status, answer.body]).toEqual([202, { accepted: 0, duplicates: 0, dropped: 1 }]);
        expect((await send(call, { type: 'X' })).status).toBe(422);
      });
    });

    it('[E4e] are stored directly without a Redis, and no id is remembered', async () => {
      const postgres = openTestPg();
      try {
        await using(withoutRedis, async (target) => {
          const { call, tenantId } = await openDoor(target);
          for (let i = 0; i < 2; i++)
            expect((await send(call, { id: 'a', type: 'x' })).body).toMatchObject({ accepted: 1 });
          expect((await readEvents(postgres, tenantId)).map(({ id }) => id)).toEqual(['a', 'a']);
        });
      } finally {
        await postgres.close();
      }
    });

    it('[E2c] are dropped, and no request fails, while Redis is away', async () => {
      const stores = await openFragileStores();
      try {
        await using(stores.env, async (target) => {
          const { call } = await openDoor(target);
          await send(call, { type: 'x' });
          stores.redis.inject('refuse');
          const answer = await send(call, { type: 'x' }, { type: 'x' });
          expect([answer.status, answer.body]).toEqual([202, { accepted: 0, duplicates: 0, dropped: 2 }]);
          expect((await call('PUT', '/v1/spaces/here', { json: { name: 'Here' } })).status).toBe(201);
        });
      } finally {
        await stores.close();
      }
    });
  });
}
