import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTenant } from '../../tenants.ts';
import { type Call, createCall, openSpace, waitUntilReady } from '../client.ts';
import type { FragileStore, FragileStores, Runtime } from '../runtimes.ts';
import type { Target } from '../targets.ts';

const REQUESTS: [method: string, path: string, json?: unknown][] = [
  ['GET', '/v1/spaces'],
  ['GET', '/v1/spaces/here'],
  ['PUT', '/v1/spaces/new', { name: 'New' }],
  ['PUT', '/v1/spaces/here/state', { objects: [] }],
  ['GET', '/v1/spaces/here/statistics'],
  ['GET', '/v1/spaces/here/objects'],
  ['GET', '/v1/spaces/here/objects/o'],
  ['DELETE', '/v1/spaces/here'],
  ['GET', '/v1/dead-letters'],
  ['GET', '/v1/keys'],
  ['POST', '/v1/keys', { scopes: ['read'] }],
];

/** Writes that the log accepts without Postgres, from a known caller. */
const WRITES: [method: string, path: string, json?: unknown][] = [
  ['POST', '/v1/spaces/here/updates', { ops: [{ op: 'put', id: 'q', name: 'one' }] }],
  ['PUT', '/v1/spaces/here/objects/q', { name: 'two' }],
  ['PATCH', '/v1/spaces/here/objects/q', { position: { x: 3 } }],
  ['PUT', '/v1/spaces/here/objects/r', { name: 'four' }],
  ['DELETE', '/v1/spaces/here/objects/r'],
];
const WAIT = { headers: { Prefer: 'wait' } };
const ASYNC = { headers: { Prefer: 'respond-async' } };
/** Writes that need the order of the log, and change nothing while Redis is away. */
const LOST_WRITES: [method: string, path: string, options?: Parameters<Call>[2]][] = [
  ['POST', '/v1/spaces/here/updates', { json: { ops: [{ op: 'put', id: 'o', name: 'lost' }] }, ...WAIT }],
  ['POST', '/v1/spaces/here/updates', { json: { ops: [{ op: 'put', id: 'o', name: 'lost', ifSeq: 0 }] } }],
  ['PUT', '/v1/spaces/here/objects/o', { json: { name: 'lost' } }],
  ['PUT', '/v1/spaces/here/objects/p', { json: {}, headers: { ...ASYNC.headers, 'If-None-Match': '*' } }],
  ['PATCH', '/v1/spaces/here/objects/o', { json: { name: 'lost' } }],
  ['DELETE', '/v1/spaces/here/objects/o'],
  ['PUT', '/v1/spaces/here/state', { json: { objects: [] } }],
  ['POST', '/v1/spaces/here/chat', { json: { text: 'lost' } }],
];
/** Writes that need no order: they are spilled while Redis is away. */
const SPILLED_WRITES: [method: string, path: string, options: Parameters<Call>[2]][] = [
  [
    'POST',
    'updates',
    {
      json: {
        ops: [
          { op: 'put', id: 'a', name: 'one' },
          { op: 'put', id: 'b' },
        ],
      },
    },
  ],
  ['PUT', 'objects/a', { json: { name: 'two' }, ...ASYNC }],
  ['PATCH', 'objects/a', { json: { position: { x: 3 } }, ...ASYNC }],
  ['DELETE', 'objects/b', ASYNC],
  ['POST', 'chat', { json: { text: 'still here' }, ...ASYNC }],
];

export function describeOutages({ start, makeEnv, openFragileStores, hasMemory }: Runtime): void {
  describe('with a store away', () => {
    let stores: FragileStores;
    let target: Target;
    let patient: Target;
    let call: Call;
    let stranger: Call;
    beforeAll(async () => {
      stores = await openFragileStores();
      const env = makeEnv({
        ...stores.env,
        READYZ_TIMEOUT_MS: '1000',
        API_KEY_CACHE_SECONDS: '300',
      });
      const memory = hasMemory && { MEMORY_FALLBACK_ENABLED: 'true' };
      target = await start({ ...env, ...memory, DATABASE_TIMEOUT_MS: '1000', REDIS_TIMEOUT_MS: '1000' });
      // The time-outs of the stores are longer than a test's, so an answer in time does not come from them.
      patient = await start({ ...env, DATABASE_TIMEOUT_MS: '120000', REDIS_TIMEOUT_MS: '30000' });
      const tenant = await makeTenant();
      call = createCall(target, await tenant.apiKey(['read', 'write', 'admin']));
      stranger = createCall(patient, null);
      await call('PUT', '/v1/spaces/here', { json: { name: 'Here' } });
      await call('PUT', '/v1/spaces/here/objects/o', { json: { name: 'kept' } });
    });
    afterAll(async () => {
      await Promise.all([target?.stop(), patient?.stop()]);
      await stores?.close();
    });

    let faults = 0;
    async function without<T>(store: 'postgres' | 'redis', fault: 'refuse' | 'hang', run: () => Promise<T>) {
      const fragile: FragileStore = stores[store];
      fragile.inject(fault);
      faults++;
      try {
        return await run();
      } finally {
        fragile.clear();
        if (--faults === 0) for (const each of [target, patient]) await waitUntilReady(each);
      }
    }

    it('Postgres: every route that needs it is 503 with Retry-After, with a known or an unknown key', async () => {
      const unseen = await (await makeTenant()).apiKey(['read', 'write', 'admin']);
      await without('postgres', 'refuse', async () => {
        for (const [method, path, json] of REQUESTS)
          for (const from of [call, createCall(target, unseen)]) {
            const { status, headers, body } = await from(method, path, json === undefined ? {} : { json });
            expect([method, path, status, body.code]).toEqual([method, path, 503, 'store_unavailable']);
            expect(Number(headers.get('Retry-After'))).toBeGreaterThan(0);
          }
      });
      expect((await call('GET', '/v1/spaces/here/objects/o')).body.name).toBe('kept');
    });

    it.each(['refuse', 'hang'] as const)(
      '[F3] Postgres: writes are queued, also if their callers wait, and are committed in order when it is back (%s)',
      async (fault) => {
        const unseen = createCall(target, await (await makeTenant()).apiKey(['read', 'write', 'admin']));
        const seqs: number[] = [];
        await without('postgres', fault, async () => {
          for (const [method, path, json] of WRITES) {
            const options = { ...(json !== undefined && { json }), ...(method === 'POST' && WAIT) };
            const { status, body } = await call(method, path, options);
            expect([method, status, body]).toEqual([
              method,
              202,
              { seq: expect.any(Number), accepted: 1, durability: 'queued' },
            ]);
            seqs.push(body.seq);
          }
          const refused = WRITES.map(([method, path, json]) =>
            unseen(method, path, json === undefined ? {} : { json }),
          );
          expect((await Promise.all(refused)).map(({ status }) => status)).toEqual(WRITES.map(() => 503));
        });
        expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
        const ops = [{ op: 'delete', id: 'nobody' }];
        const after = await call('POST', '/v1/spaces/here/updates', { json: { ops }, ...WAIT });
        expect([after.status, after.body.durability]).toEqual([200, 'committed']);
        const { body } = await call('GET', '/v1/spaces/here/objects/q');
        expect(body).toMatchObject({ name: 'two', position: { x: 3 }, seq: seqs[2] });
        expect((await call('GET', '/v1/spaces/here/objects/r')).status).toBe(404);
      },
    );

    it('[S3f] Postgres: a state that lacks a person has no tag', async () => {
      const at = '/v1/spaces/here';
      expect((await call('PUT', '/v1/users/mia', { json: { displayName: 'Mia' } })).status).toBe(201);
      await call('GET', `${at}/state`);
      const first = await without('postgres', 'refuse', async () => {
        const ops = [{ op: 'user.patch', id: 'mia' }];
        expect((await call('POST', `${at}/updates`, { json: { ops } })).status).toBe(202);
        return call('GET', `${at}/state`);
      });
      expect([first.status, first.headers.get('ETag'), first.body.users]).toEqual([200, null, []]);
      const ops = [{ op: 'delete', id: 'nobody' }];
      expect((await call('POST', `${at}/updates`, { json: { ops }, ...WAIT })).status).toBe(200);
      const second = await call('GET', `${at}/state`);
      expect(second.headers.get('ETag')).not.toBeNull();
      expect(second.body.users).toMatchObject([{ id: 'mia' }]);
    });

    it.each(['refuse', 'hang'] as const)(
      '[F2] Redis: writes that need an order are 503 with Retry-After and change nothing, reads are served (%s)',
      async (fault) => {
        const state = await call('GET', '/v1/spaces/here/state');
        await without('redis', fault, async () => {
          const attempts = LOST_WRITES.map(async ([method, path, options]) => {
            const { status, headers, body } = await call(method, path, options);
            expect([method, path, status, body.code]).toEqual([method, path, 503, 'store_unavailable']);
            expect(Number(headers.get('Retry-After'))).toBeGreaterThan(0);
          });
          await Promise.all(attempts);
          // Nobody knows whether Postgres has everything that was queued.
          const read = await call('GET', '/v1/spaces/here/state');
          expect([read.status, read.headers.get('ETag')]).toEqual([200, null]);
          expect(read.body).toEqual({ ...state.body, spilled: 0 });
          expect((await call('GET', '/v1/spaces/here/objects/o')).body.name).toBe('kept');
        });
        expect((await call('GET', '/v1/spaces/here/state')).text).toBe(state.text);
      },
    );

    it.each(['refuse', 'hang'] as const)(
      '[F2] Redis: other writes are spilled, shown in states, and take their place when it is back (%s)',
      async (fault) => {
        const door = await openSpace(target);
        await door.call('PUT', `${door.at}/objects/o`, { json: { name: 'kept' } });
        const before = await door.call('GET', `${door.at}/state`);
        const isDone = { name: 'two', position: { x: 3, y: 0, z: 0 } };
        await without('redis', fault, async () => {
          for (const [method, path, options] of SPILLED_WRITES) {
            const { status, headers, body } = await door.call(method, `${door.at}/${path}`, options);
            expect([path, status, body.durability]).toEqual([path, 202, 'spilled']);
            expect(headers.get('X-Durability')).toBe('spilled');
            expect(body).not.toHaveProperty('seq');
          }
          const { status, headers, body } = await door.call('GET', `${door.at}/state`);
          expect([status, headers.get('ETag'), body.seq, body.spilled]).toEqual([
            ...[200, null, before.body.seq],
            SPILLED_WRITES.length,
          ]);
          expect(body.objects).toMatchObject([
            { id: 'a', ...isDone },
            { id: 'o', name: 'kept' },
          ]);
          expect(body.chat).toMatchObject([{ text: 'still here' }]);
          const lines = { headers: { Accept: 'application/x-ndjson' } };
          expect((await door.call('GET', `${door.at}/state`, lines)).body.code).toBe('state_unsettled');
        });
        // A read returns what its process has spilled, or shows it as spilled while a return runs.
        const read = () => door.call('GET', `${door.at}/state`);
        await expect.poll(async () => (await read()).headers.get('ETag'), { timeout: 30_000 }).not.toBeNull();
        const after = await read();
        expect(after.body).not.toHaveProperty('spilled');
        expect(after.body.objects).toMatchObject([
          { id: 'a', ...isDone },
          { id: 'o', name: 'kept' },
        ]);
        expect(after.body.chat).toMatchObject([{ text: 'still here' }]);
        expect(after.body.durableSeq).toBe(after.body.seq);
      },
    );

    it.each(['refuse', 'hang'] as const)(
      `[F4] both: writes are ${hasMemory ? 'in memory, and are stored when a store is back' : '503'} (%s)`,
      async (fault) => {
        const door = await openSpace(target);
        await door.call('PUT', `${door.at}/objects/o`, { json: { name: 'kept' } });
        const away = { code: 'store_unavailable' };
        const ops = [{ op: 'put', id: 'a', name: 'during the outage' }];
        await without('redis', fault, () =>
          without('postgres', fault, async () => {
            const { status, headers, body } = await door.call('POST', `${door.at}/updates`, {
              json: { ops },
            });
            expect([status, body]).toMatchObject(
              hasMemory ? [202, { accepted: 1, durability: 'memory' }] : [503, away],
            );
            expect(headers.get('X-Durability')).toBe(hasMemory ? 'memory' : null);
            const refused = await door.call('POST', `${door.at}/updates`, { json: { ops }, ...WAIT });
            expect([refused.status, refused.body]).toMatchObject([503, away]);
            expect((await door.call('GET', `${door.at}/state`)).status).toBe(503);
          }),
        );
        const read = async () =>
          (await door.call('GET', `${door.at}/objects`)).body.items?.map(({ id }: { id: string }) => id);
        await expect.poll(read).toEqual(hasMemory ? ['a', 'o'] : ['o']);
      },
    );

    it('Postgres that hangs: also 503', async () => {
      const { status, body } = await without('postgres', 'hang', () =>
        call('GET', '/v1/spaces/here/objects'),
      );
      expect([status, body.code]).toEqual([503, 'store_unavailable']);
    });

    it.each(['refuse', 'hang'] as const)(
      '[F3] Postgres: a cached state is still served, with the writes of that time (%s)',
      async (fault) => {
        const door = await openSpace(target);
        const at = `${door.at}/state`;
        const unread = await openSpace(target);
        const before = await door.call('GET', at);
        expect(before.status).toBe(200);
        await without('postgres', fault, async () => {
          const ops = [{ op: 'put', id: 'new', name: 'while it was away' }];
          const { body: queued } = await door.call('POST', `${door.at}/updates`, { json: { ops } });
          const { status, body } = await door.call('GET', at);
          expect(status).toBe(200);
          expect(body).toMatchObject({ seq: queued.seq, objects: [{ id: 'new' }] });
          expect(body.durableSeq).toBeLessThan(body.seq);
          expect((await unread.call('GET', `${unread.at}/state`)).status).toBe(503);
        });
      },
    );

    it('Postgres that answers nonsense: also 503', async () => {
      stores.postgres.inject('nonsense');
      const { status, body } = await call('GET', '/v1/spaces/here');
      expect([status, body.code]).toEqual([503, 'store_unavailable']);
      expect((await call('GET', '/v1/spaces/here')).status).toBe(200);
    });

    it('an invalid body still gets 422', async () => {
      const { status } = await without('postgres', 'refuse', () =>
        call('PUT', '/v1/spaces/here/objects/o', { text: 'nonsense' }),
      );
      expect(status).toBe(422);
    });

    it.each(['refuse', 'hang'] as const)('/readyz names Postgres, and /livez lives (%s)', async (kind) => {
      await without('postgres', kind, async () => {
        const { status, body, headers } = await stranger('GET', '/readyz');
        expect([status, body.code]).toEqual([503, 'store_unavailable']);
        expect(body.errors.map(({ path }: { path: string }) => path)).toEqual(['/persistence/database']);
        expect(body.detail).toContain('Postgres');
        expect(headers.get('Retry-After')).not.toBeNull();
        expect((await stranger('GET', '/livez')).status).toBe(200);
      });
      expect((await stranger('GET', '/readyz')).status).toBe(200);
    });

    it.each(['refuse', 'hang'] as const)(
      '/health is down without Postgres (%s), and counts nothing',
      async (kind) => {
        const unseen = createCall(patient, await (await makeTenant()).apiKey(['read']));
        for (const from of [stranger, call, unseen]) {
          const { status, body } = await without('postgres', kind, () => from('GET', '/health'));
          expect(status).toBe(503);
          expect(body).toMatchObject({
            status: 'down',
            persistence: { database: false, cache: true },
            awaySince: { database: expect.stringMatching(/^\d{4}-.*Z$/), cache: null },
            worldState: { users: null, objects: null, models: null },
          });
        }
      },
    );

    it.each(['refuse', 'hang'] as const)(
      'Redis: worlds are served, /health is degraded (%s)',
      async (kind) => {
        await without('redis', kind, async () => {
          const { status, body } = await stranger('GET', '/health');
          expect([status, body.status, body.persistence]).toEqual([
            200,
            'degraded',
            { database: true, cache: false },
          ]);
          const ready = await stranger('GET', '/readyz');
          expect([ready.status, ready.body.errors[0].path]).toEqual([503, '/persistence/cache']);
          expect((await call('GET', '/v1/spaces/here')).status).toBe(200);
        });
      },
    );
  });
}
