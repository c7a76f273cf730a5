import { describe, expect, it, onTestFinished } from 'vitest';
import { LIMITS } from '../../../src/world/limits.ts';
import { createCall, openDoor, openSpace } from '../client.ts';
import type { Runtime } from '../runtimes.ts';
import type { Target } from '../targets.ts';
import { post } from './updates.ts';

const TOKEN = 'a-token-for-metrics-only';

export function describeOperations(target: () => Target): void {
  describe('people', () => {
    it('[P1] are listed by id, page by page, and found by the beginning of an id or a part of a name', async () => {
      const door = await openDoor(target());
      const stranger = await openDoor(target());
      await stranger.call('PUT', '/v1/users/ann-of-others', { json: { displayName: 'Ann of others' } });
      const people = { ann: 'Anna Åberg', 'ann-2': 'Zoe', bob: 'Bob 100%_\\', carol: 'Joanna' };
      for (const [id, displayName] of Object.entries(people))
        await door.call('PUT', `/v1/users/${id}`, { json: { displayName, properties: { of: id } } });
      const list = async (query: string) => (await door.call('GET', `/v1/users${query}`)).body;
      const idsOf = async (query: string) =>
        ((await list(query)).items as { id: string }[]).map(({ id }) => id);
      const first = await list('?limit=3');
      expect(first.items[0]).toEqual((await door.call('GET', '/v1/users/ann')).body);
      expect(first.items.map(({ id }: { id: string }) => id)).toEqual(['ann', 'ann-2', 'bob']);
      const rest = await list(`?limit=3&cursor=${first.nextCursor}`);
      expect([rest.items.length, rest.items[0].id, rest.nextCursor]).toEqual([1, 'carol', null]);
      expect(await idsOf('')).toEqual(Object.keys(people));
      expect(await idsOf('?search=')).toEqual(Object.keys(people));
      expect(await idsOf('?search=ANN')).toEqual(['ann', 'carol']);
      expect(await idsOf('?search=ann')).toEqual(['ann', 'ann-2', 'carol']);
      expect(await idsOf('?search=ann&limit=1')).toEqual(['ann']);
      expect(await idsOf(`?search=${encodeURIComponent('åBERG')}`)).toEqual(['ann']);
      expect(await idsOf(`?search=${encodeURIComponent('100%_\\')}`)).toEqual(['bob']);
      expect(await idsOf('?search=%25')).toEqual(['bob']);
      expect(await list('?search=nobody')).toEqual({ items: [], nextCursor: null });
    });

    it.each([
      ['?limit=0', '/limit'],
      ['?limit=1001', '/limit'],
      ['?cursor=x', '/cursor'],
      [`?search=${'a'.repeat(LIMITS.searchLengthMax + 1)}`, '/search'],
      ['?search=a%00', '/search'],
      ['?name=a', '/name'],
    ])('are not listed with %s', async (query, path) => {
      const { call } = await openDoor(target());
      const { status, body } = await call('GET', `/v1/users${query}`);
      expect([status, body.code, body.errors[0]?.path]).toEqual([422, 'validation_failed', path]);
      const longest = 'a'.repeat(LIMITS.searchLengthMax);
      expect((await call('GET', `/v1/users?search=${longest}`)).status).toBe(200);
    });
  });

  describe('incidents', () => {
    it.each([
      ['?limit=x', '/limit'],
      ['?cursor=x', '/cursor'],
      ['?space=a/b', '/space'],
      ['?kind=log_gap', '/kind'],
    ])('are not listed with %s', async (query, path) => {
      const { call } = await openDoor(target());
      const { status, body } = await call('GET', `/v1/incidents${query}`);
      expect([status, body.code, body.errors[0]?.path]).toEqual([422, 'validation_failed', path]);
    });

    it('[P2] are of the own tenant, newest first, page by page, and of one space', async () => {
      const [one, other] = [await openSpace(target()), await openSpace(target())];
      await one.call('PUT', '/v1/spaces/there', { json: { name: 'There' } });
      const notice = async ({ call }: typeof one, space: string) => {
        // A reader of the changes has seen a seq that the log does not have.
        const { body } = await post({ call, at: `/v1/spaces/${space}` }, [{ op: 'put', id: 'a' }]);
        const since = body.seq + 1_000_000;
        expect((await call('GET', `/v1/spaces/${space}/changes?since=${since}`)).status).toBe(410);
      };
      await notice(one, 'here');
      await notice(one, 'there');
      await notice(other, 'here');
      const list = async (query = '') => (await one.call('GET', `/v1/incidents${query}`)).body;
      await expect.poll(async () => (await list()).items).toHaveLength(2);
      const { items } = await list();
      expect(items[0]).toMatchObject({ kind: 'reader_ahead', detail: { seen: expect.any(Number) } });
      expect(Date.parse(items[0].at)).toBeGreaterThanOrEqual(Date.parse(items[1].at));
      const first = await list('?limit=1');
      expect(first.items).toEqual(items.slice(0, 1));
      const second = await list(`?limit=1&cursor=${first.nextCursor}`);
      expect(second).toEqual({ items: items.slice(1), nextCursor: null });
      const ofThere = await list('?space=there');
      expect(ofThere.items).toEqual(items.filter(({ spaceId }: { spaceId: string }) => spaceId === 'there'));
      expect(ofThere.items).toHaveLength(1);
      expect(await list('?space=nowhere')).toEqual({ items: [], nextCursor: null });
    });
  });

  describe('jobs', () => {
    it('[P3] are listed without counts and failures, because these are of all tenants', async () => {
      const { call } = await openDoor(target());
      const { status, body } = await call('GET', '/v1/job-runs');
      const jobs = body.jobs as { job: string; runs: { counts: unknown; failure: unknown }[] }[];
      expect([status, jobs.map(({ job }) => job)]).toEqual([200, ['drain', 'cleanup', 'refresh-views']]);
      for (const run of jobs.flatMap(({ runs }) => runs))
        expect([run.counts, run.failure]).toEqual([null, null]);
      expect((await call('GET', '/v1/job-runs?limit=1')).status).toBe(422);
    });
  });

  describe('figures', () => {
    it('[P4] are of the own tenant, and have nothing of the deployment', async () => {
      const [one, other] = [await openSpace(target()), await openSpace(target(), 'elsewhere')];
      await post(one, [{ op: 'put', id: 'a' }], { Prefer: 'wait' });
      await post(other, [{ op: 'put', id: 'a' }], { Prefer: 'wait' });
      const read = async () => (await one.call('GET', '/v1/operations')).body;
      await expect.poll(async () => (await read()).tenant.drained).toBe(1);
      const { health, tenant, spaces, deployment } = await read();
      expect(health).toEqual({
        status: 'ok',
        persistence: { database: true, cache: true },
        awaySince: { database: null, cache: null },
      });
      expect(tenant).toEqual({
        ...{ appended: 1, drained: 1, spilled: 0, streams: 0, oldestPendingMs: 0 },
        ...{ pendingSpaces: 0, pendingOperations: 0, pendingEntries: 0, pendingBytes: 0 },
      });
      expect(spaces).toMatchObject([{ id: 'here', appended: 1, pendingOperations: 0, streams: 0 }]);
      expect(deployment).toBeNull();
      expect((await one.call('GET', '/v1/operations?space=here')).status).toBe(422);
    });
  });

  describe('GET /ops', () => {
    it('is a page, or says that it is not deployed', async () => {
      const { status, headers, body, text } = await createCall(target(), null)('GET', '/ops');
      if (status === 404) expect(body.detail).toContain('not deployed');
      else {
        expect([status, headers.get('Content-Type')?.toLowerCase()]).toEqual([
          200,
          'text/html; charset=utf-8',
        ]);
        expect(headers.get('Content-Security-Policy')).toContain("default-src 'none'");
        expect(text).toContain('<title>');
      }
    });
  });
}

/** The cases with other configurations. */
export function describeOperationsElsewhere({
  start,
  makeEnv,
  openOwnRedis,
  openFragileStores,
  withoutRedis,
}: Runtime): void {
  describe('operations of a deployment', () => {
    it('[P3] [P5] only the tenant of the operator sees counts of jobs and sums of all tenants', async () => {
      const redis = await openOwnRedis();
      onTestFinished(() => redis.close());
      const plain = await start(makeEnv(redis.env));
      onTestFinished(() => plain.stop());
      const operator = await openSpace(plain);
      const env = { ...redis.env, METRICS_TOKEN: TOKEN, DEFAULT_TENANT_ID: operator.tenantId };
      const target = await start(makeEnv(env));
      onTestFinished(() => target.stop());
      const call = createCall(target, await operator.apiKey(['admin', 'write', 'read']));
      const other = await openSpace(target);
      await post(
        other,
        [
          { op: 'put', id: 'a' },
          { op: 'put', id: 'b' },
        ],
        { Prefer: 'wait' },
      );
      await other.call('GET', `${other.at}/state`);
      const read = async () => (await call('GET', '/v1/operations')).body;
      await expect
        .poll(async () => (await read()).deployment.latency?.append.count, { timeout: 20_000 })
        .toBe(1);
      const { tenant, spaces, deployment } = await read();
      expect([tenant.appended, spaces]).toEqual([0, []]);
      expect(deployment).toMatchObject({
        ...{ streams: 0, pendingSpaces: 0, appended: 2, drained: 2, withoutEffect: 0 },
        ...{ cacheHits: 0, cacheMisses: 1 },
      });
      const { append, commit } = deployment.latency;
      expect(append.counts).toHaveLength(append.le.length);
      expect(append.counts.at(-1)).toBe(1);
      expect(append.counts).toEqual(append.counts.toSorted((a: number, b: number) => a - b));
      expect([append.count, append.sumSeconds > 0, commit.count]).toEqual([1, true, 1]);
      const { jobs } = (await call('GET', '/v1/job-runs')).body;
      for (const { runs } of jobs) for (const run of runs) expect(run.counts).toEqual(expect.any(Object));
      expect((await other.call('GET', '/v1/operations')).body.deployment).toBeNull();
    });

    it('[P5] without a METRICS_TOKEN nothing is counted, and without a Redis nothing is pending', async () => {
      const door = await openDoor(await startHere({}));
      const target = await startHere({
        ...withoutRedis,
        CACHE_ENABLED: 'false',
        BATCH_PROCESSING_ENABLED: 'false',
        DEFAULT_TENANT_ID: door.tenantId,
      });
      const { status, body } = await createCall(target, await door.apiKey(['admin']))(
        'GET',
        '/v1/operations',
      );
      expect([status, body.health.status, body.health.persistence]).toEqual([
        200,
        'ok',
        { database: true, cache: false },
      ]);
      expect(body.tenant).toMatchObject({ appended: null, drained: null, streams: null, spilled: 0 });
      expect(body.deployment).toMatchObject({ appended: null, streams: null, latency: null });
    });

    it('[P4a] a store that is away leaves its figures null', async () => {
      const stores = await openFragileStores();
      onTestFinished(() => stores.close());
      const target = await startHere({ ...stores.env, DATABASE_TIMEOUT_MS: '2000', LOG_LEVEL: 'silent' });
      const door = await openSpace(target);
      const read = async () => (await door.call('GET', '/v1/operations')).body;
      await read();
      stores.redis.inject('refuse');
      await expect.poll(async () => (await read()).health.status).toBe('degraded');
      expect((await read()).health.awaySince).toEqual({ database: null, cache: expect.any(String) });
      expect((await read()).tenant).toMatchObject({ pendingEntries: null, streams: null, spilled: 0 });
      stores.redis.clear();
      await expect.poll(async () => (await read()).health.status).toBe('ok');
      stores.postgres.inject('hang');
      await expect.poll(async () => (await read()).health.status).toBe('down');
      expect((await read()).tenant).toMatchObject({ pendingEntries: 0, spilled: null });
      stores.postgres.clear();
    });

    async function startHere(changes: Record<string, string>): Promise<Target> {
      const target = await start(makeEnv(changes));
      onTestFinished(() => target.stop());
      return target;
    }
  });
}
