import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, createCall, type Door, openDoor, openSpace } from '../client.ts';
import type { OwnRedis } from '../own-redis.ts';
import type { Runtime } from '../runtimes.ts';
import type { Target, TargetEnv } from '../targets.ts';
import { post } from './updates.ts';

/** Updates with settings that are not defaults: budgets, no batching, no Redis, a Redis whose commands are counted. */
export function describeUpdateModes({
  start,
  makeEnv,
  withoutRedis,
  openOwnRedis,
  openFragileStores,
}: Runtime): void {
  async function using<T>(changes: TargetEnv, run: (target: Target) => Promise<T>): Promise<T> {
    const target = await start(makeEnv(changes));
    try {
      return await run(target);
    } finally {
      await target.stop();
    }
  }
  const puts = (count: number, prefix = 'o') =>
    Array.from({ length: count }, (_, i) => ({ op: 'put', id: `${prefix}-${i}` }));

  describe('[L4] budgets of updates', () => {
    const policy = '"requests";q=4;w=60, "updates";q=10;w=60';

    function expectRefusal({ status, headers, body }: Answer, kind: string, max: number): void {
      expect([status, body.code]).toEqual([429, 'rate_limited']);
      const seconds = Number(headers.get('Retry-After'));
      expect(seconds).toBeGreaterThan(0);
      expect(seconds).toBeLessThanOrEqual(60);
      expect(body.detail).toBe(`At most ${max} ${kind} in 60 seconds; the next in ${seconds} s.`);
      expect(headers.get('RateLimit-Policy')).toBe(policy);
    }

    it('count operations and requests, refuse requests above either, and show the rest', async () => {
      const env = { RATE_LIMIT_REQUESTS_PER_MINUTE: '4', RATE_LIMIT_UPDATES_PER_MINUTE: '10' };
      await using(env, async (target) => {
        const door = await openSpace(target);
        const first = await post(door, puts(7), { 'Idempotency-Key': 'first' });
        expect(first.status).toBe(202);
        expect(first.headers.get('RateLimit')).toMatch(/^"requests";r=3;t=\d+, "updates";r=3;t=\d+$/);
        expect(first.headers.get('RateLimit-Policy')).toBe(policy);
        const second = await post(door, puts(4));
        expectRefusal(second, 'updates', 10);
        expect(second.headers.get('RateLimit')).toMatch(/^"requests";r=3;t=\d+, "updates";r=3;t=\d+$/);
        for (const [count, left] of [
          [1, 2],
          [1, 1],
          [1, 0],
        ] as const) {
          const { status, headers } = await post(door, puts(count));
          expect([status, headers.get('RateLimit')]).toEqual([
            202,
            expect.stringMatching(`^"requests";r=${left};t=\\d+, "updates";r=${left};t=\\d+$`),
          ]);
        }
        const refused = await post(door, puts(1));
        expectRefusal(refused, 'requests', 4);
        // A repeat costs nothing, and is not refused although the budget is too small.
        for (let i = 0; i < 6; i++) {
          const again = await post(door, puts(7), { 'Idempotency-Key': 'first' });
          expect([again.status, again.text]).toEqual([202, first.text]);
          expect(again.headers.get('RateLimit')).toMatch(/^"requests";r=[01];/);
        }
      });
    });

    it('are separate for each principal and space, and from the limits of other routes', async () => {
      await using({ RATE_LIMIT_UPDATES_PER_MINUTE: '5' }, async (target) => {
        const door = await openSpace(target);
        expect((await post(door, puts(5))).status).toBe(202);
        expect((await post(door, puts(2))).status).toBe(429);
        expect((await door.call('GET', door.at)).status).toBe(200);
        await door.call('PUT', '/v1/spaces/there', { json: { name: 'There' } });
        expect((await post({ ...door, at: '/v1/spaces/there' }, puts(5))).status).toBe(202);
      });
    });

    it('also limit invalid requests', async () => {
      await using({ RATE_LIMIT_REQUESTS_PER_MINUTE: '4' }, async (target) => {
        const door = await openSpace(target);
        const send = async () => (await post(door, [{ op: 'put', id: 'a/b' }])).status;
        for (let i = 0; i < 5; i++) expect(await send()).toBe(422);
        expect(await send()).toBe(429);
      });
    });

    it('are off at 0', async () => {
      const env = { RATE_LIMIT_REQUESTS_PER_MINUTE: '0', RATE_LIMIT_UPDATES_PER_MINUTE: '0' };
      await using(env, async (target) => {
        const { status, headers } = await post(await openSpace(target), puts(1_000));
        expect([status, headers.get('RateLimit'), headers.get('RateLimit-Policy')]).toEqual([
          202,
          null,
          null,
        ]);
      });
    });
  });

  describe('updates', () => {
    const ops = [...puts(1), { op: 'patch', id: 'nobody', name: 'n' }];
    const results = [
      { id: 'o-0', status: 'applied' },
      { id: 'nobody', status: 'unknown_object' },
    ];

    async function expectCommitted(door: Door & { at: string }): Promise<void> {
      for (const headers of [{}, { Prefer: 'wait' }, { Prefer: 'respond-async' }]) {
        const answer = await post(door, ops, headers);
        expect([answer.status, answer.body]).toEqual([
          200,
          { seq: expect.any(Number), durability: 'committed', results },
        ]);
        const isWait = 'Prefer' in headers && headers.Prefer === 'wait';
        expect(answer.headers.get('Preference-Applied')).toBe(isWait ? 'wait' : null);
        const object = await door.call('GET', `${door.at}/objects/o-0`);
        expect(object.body.seq).toBe(answer.body.seq);
      }
      const put = await door.call('PUT', `${door.at}/objects/p`, {
        json: {},
        headers: { Prefer: 'respond-async' },
      });
      expect([put.status, put.headers.get('Preference-Applied')]).toEqual([201, null]);
    }

    it('[F6] are committed, with or without Prefer: wait, if batching is off', async () => {
      await using({ BATCH_PROCESSING_ENABLED: 'false' }, async (target) => {
        await expectCommitted(await openSpace(target));
      });
    });

    it('[F6b] are committed if there is no Redis, and are counted with other requests', async () => {
      await using({ ...withoutRedis, RATE_LIMIT_ALONE_REQUESTS_PER_MINUTE: '11' }, async (target) => {
        const door = await openSpace(target);
        await expectCommitted(door);
        const { body } = await (await openDoor(target)).call('GET', '/health');
        expect([body.status, body.log]).toEqual(['ok', 'none']);
        const last = await post(door, ops);
        expect(last.headers.get('RateLimit')).toMatch(/^"requests";r=[12];t=\d+$/);
        const statuses = [];
        for (let i = 0; i < 3; i++) statuses.push((await post(door, ops)).status);
        expect(statuses).toContain(429);
      });
    });

    it('are 409 on a server without a Redis, if the space has its log in one', async () => {
      await using({}, async (target) => {
        const door = await openSpace(target);
        await post(door, puts(1), { Prefer: 'wait' });
        await using(withoutRedis, async (other) => {
          const call = createCall(other, await door.apiKey(['read', 'write']));
          for (const answer of [
            await post({ call, at: door.at }, puts(1)),
            await call('PUT', `${door.at}/objects/o-0`, { json: { name: 'lost' } }),
            await call('PATCH', `${door.at}/objects/o-0`, { json: { name: 'lost' } }),
            await call('DELETE', `${door.at}/objects/o-0`),
            await call('PUT', `${door.at}/state`, { json: { objects: [] } }),
          ])
            expect([answer.status, answer.body.code]).toEqual([409, 'conflict']);
          expect((await call('GET', `${door.at}/objects/o-0`)).body.name).toBeNull();
        });
      });
    });

    it('[D7] are 429 while the backlog is full', async () => {
      const stores = await openFragileStores();
      const env = { ...stores.env, BACKLOG_ENTRIES_MAX: '2', API_KEY_CACHE_SECONDS: '300' };
      try {
        await using(env, async (target) => {
          const door = await openSpace(target);
          await post(door, puts(1), { Prefer: 'wait' });
          stores.postgres.inject('refuse');
          // A committed write leaves the backlog shortly after its answer.
          for (let i = 0; i < 2; i++)
            await expect.poll(async () => (await post(door, puts(1))).status).toBe(202);
          for (const answer of [
            await post(door, puts(1), { Prefer: 'wait' }),
            await door.call('PUT', `${door.at}/objects/p`, { json: {} }),
            await door.call('PATCH', `${door.at}/objects/p`, { json: {} }),
            await door.call('DELETE', `${door.at}/objects/o-0`),
          ]) {
            expect([answer.status, answer.body.code]).toEqual([429, 'backlog_full']);
            expect(Number(answer.headers.get('Retry-After'))).toBeGreaterThan(0);
            expect(answer.body.detail).toContain('may have 2');
          }
          stores.postgres.clear();
        });
      } finally {
        await stores.close();
      }
    });

    describe('and their Redis', () => {
      let redis: OwnRedis;
      let target: Target;
      beforeAll(async () => {
        redis = await openOwnRedis();
        // The events of the server itself come half a second later.
        const counted = { API_KEY_CACHE_SECONDS: '300', ANALYTICS_ENABLED: 'false' };
        target = await start(makeEnv({ ...redis.env, ...counted }));
      });
      afterAll(async () => {
        await target?.stop();
        await redis?.close();
      });

      it('[L4] gets one command per request, however many operations the request has', async () => {
        const door = await openSpace(target);
        await post(door, puts(1), { Prefer: 'wait' });
        const meta = `wk:{${door.tenantId}!here}:meta`;
        const bulk = 'x'.repeat(900);
        // Waits until the drain of the waiting write has released its claim.
        await expect.poll(() => redis.client.hmget(meta, 'oldest', 'token')).toEqual(['', '']);
        for (const [count, headers] of [
          [1, {}],
          [100, { 'Idempotency-Key': 'hundred' }],
          [1_000, {}],
          [100, { 'Idempotency-Key': 'hundred' }],
        ] as const) {
          // As if another process drained, so that only the append is counted.
          const [seconds, micros] = await redis.client.time();
          const due = Number(seconds) * 1_000_000 + Number(micros);
          await redis.client.hset(meta, { token: 'of-another', due });
          const large = puts(count).map((op) => ({ ...op, properties: { bulk } }));
          const commands = await redis.listCommands(async () => {
            expect((await post(door, large, headers)).status).toBe(202);
          });
          expect(commands).toEqual(['evalsha']);
        }
      });

      it('[L4] that forgot the script gets it again, and does the work once', async () => {
        const door = await openSpace(target);
        await post(door, puts(1), { Prefer: 'wait' });
        await redis.client.script('FLUSH');
        const { status, body } = await post(door, puts(2), { Prefer: 'wait' });
        expect([status, body.results.length]).toEqual([200, 2]);
      });

      it('[L1] that lost its memory continues with higher seqs', async () => {
        const door = await openSpace(target);
        const before = await post(door, puts(1), { Prefer: 'wait' });
        await redis.client.flushall();
        const after = await post(door, [{ op: 'patch', id: 'o-0', name: 'after' }], { Prefer: 'wait' });
        expect([after.status, after.body.results]).toEqual([200, [{ id: 'o-0', status: 'applied' }]]);
        expect(after.body.seq).toBeGreaterThan(before.body.seq);
      });

      it('that evicts gets no entries, and /health reports it, if Redis reports its policy', async () => {
        await redis.client.config('SET', 'maxmemory-policy', 'allkeys-lru');
        try {
          await using(redis.env, async (other) => {
            const door = await openSpace(other);
            const { status, headers } = await post(door, puts(1));
            const { body } = await door.call('GET', '/health');
            const seen = [status, headers.get('Retry-After'), body.status, body.log];
            expect(seen).toEqual(
              redis.tellsPolicy ? [503, '30', 'degraded', 'evicts'] : [202, null, 'ok', 'ok'],
            );
          });
        } finally {
          await redis.client.config('SET', 'maxmemory-policy', 'noeviction');
        }
      });
    });
  });
}
