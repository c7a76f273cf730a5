import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { uniqueName } from '../../support.ts';
import { createCall, type Door, openDoor } from '../client.ts';
import type { FragileStores, Runtime } from '../runtimes.ts';
import type { Target } from '../targets.ts';

const TRACE_ID = /^[0-9a-f]{32}$/;

export function describeLogs({ start, makeEnv, openFragileStores }: Runtime): void {
  describe('logs', () => {
    let stores: FragileStores;
    let target: Target;
    let door: Door;
    beforeAll(async () => {
      stores = await openFragileStores();
      target = await start(makeEnv({ ...stores.env, LOG_LEVEL: 'info', DATABASE_TIMEOUT_MS: '2000' }));
      door = await openDoor(target);
    });
    afterAll(async () => {
      await target?.stop();
      await stores?.close();
    });

    /** The lines of the requests with these ids. A line may come after its answer. */
    async function linesOf(ids: readonly string[]): Promise<Record<string, unknown>[]> {
      const find = () =>
        target.lines
          .filter((line) => line.startsWith('{'))
          .map((line) => JSON.parse(line))
          .filter(({ requestId }) => ids.includes(requestId));
      await vi.waitFor(() => expect(find().length).toBeGreaterThanOrEqual(ids.length), { timeout: 10_000 });
      return find();
    }

    it('have one line per request: the caller, the route and the result', async () => {
      const id = () => uniqueName('log');
      const ids = [id(), id(), id(), id(), id()] as const;
      const named = (requestId: string) => ({ headers: { 'X-Request-Id': requestId } });
      const { tenantId, call } = door;
      const stranger = createCall(target, null);
      await call('PUT', '/v1/spaces/logged', { json: { name: 'Logged' }, ...named(ids[0]) });
      await call('GET', '/v1/spaces/logged/objects/absent', named(ids[1]));
      await stranger('GET', '/v1/spaces/logged/state', named(ids[2]));
      await stranger('GET', '/livez', named(ids[3]));
      await stranger('GET', '/v1/secrets/logged', named(ids[4]));
      const lines = await linesOf(ids);
      const common = {
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        level: 'info',
        event: 'request',
        durationMs: expect.any(Number),
        traceId: expect.stringMatching(TRACE_ID),
      };
      const key = { tenantId, principalId: expect.stringMatching(/^key_/) };
      const nobody = { tenantId: null, principalId: null };
      const expected = [
        { ...key, method: 'PUT', route: '/v1/spaces/:space', status: 201 },
        { ...key, method: 'GET', route: '/v1/spaces/:space/objects/:id', status: 404, code: 'not_found' },
        { ...nobody, method: 'GET', route: '/v1/spaces/:space/state', status: 401, code: 'unauthorized' },
        { ...nobody, method: 'GET', route: '/livez', status: 200 },
        { ...nobody, method: 'GET', route: null, status: 404, code: 'not_found' },
      ];
      expect(lines).toHaveLength(ids.length);
      for (const [i, requestId] of ids.entries())
        expect(lines.find((line) => line.requestId === requestId)).toEqual({
          ...common,
          requestId,
          ...expected[i],
        });
    });

    it('continue a valid trace, and begin a new one otherwise', async () => {
      const traceId = randomBytes(16).toString('hex');
      const given = [
        `00-${traceId}-00f067aa0ba902b7-01`,
        `cc-${traceId}-00f067aa0ba902b7-01-what-the-future-will-say`,
        `00-${traceId}-00f067aa0ba902b7-01-more`,
        `ff-${traceId}-00f067aa0ba902b7-01`,
        `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
        `00-${traceId}-${'0'.repeat(16)}-01`,
        `00-${traceId.toUpperCase()}A-00f067aa0ba902b7-01`,
        'nonsense',
      ];
      const ids = given.map(() => uniqueName('trace'));
      const responses = [];
      for (const [i, traceparent] of given.entries()) {
        const headers = { traceparent, 'X-Request-Id': ids[i] ?? '' };
        const answer = await createCall(target, null)('GET', '/livez', { headers });
        responses.push(answer.headers.get('traceresponse') ?? '');
      }
      const lines = await linesOf(ids);
      for (const [i, response] of responses.entries()) {
        const [, trace, span, flags] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])$/.exec(response) ?? [];
        expect([trace === traceId, flags]).toEqual(i < 2 ? [true, '01'] : [false, '00']);
        expect(span).not.toBe('00f067aa0ba902b7');
        expect(lines.find(({ requestId }) => requestId === ids[i])).toMatchObject({ traceId: trace });
      }
    });

    it('contain no sent or stored data, also after any failure', async () => {
      const canary = `canary${randomBytes(8).toString('hex')}`;
      const { call, tenantId } = door;
      const key = await door.apiKey(['read', 'write', 'admin']);
      const ids: string[] = [];
      const askAs =
        (credential: string | null): typeof call =>
        (method, path, options = {}) => {
          const requestId = uniqueName('canary-free');
          ids.push(requestId);
          return createCall(target, credential)(method, path, {
            ...options,
            headers: { 'X-Request-Id': requestId, ...options.headers },
          });
        };
      const [ask, askNameless] = [askAs(key), askAs(null)];
      const object = {
        name: canary,
        properties: { [canary]: canary, list: [canary] },
      };
      const world = {
        objects: [{ id: canary, ...object }],
        users: [{ id: canary, displayName: canary, properties: { canary } }],
        chat: [{ id: canary, userId: canary, text: canary }],
      };
      const at = `/v1/spaces/${canary}`;
      const askAll = async () => {
        await ask('PUT', at, { json: { name: canary, description: canary, settings: { canary } } });
        await ask('PUT', `/v1/users/${canary}`, { json: { displayName: canary, properties: { canary } } });
        const minted = await ask('POST', '/v1/sessions', { json: { userId: canary, spaceId: canary } });
        await ask('PUT', `${at}/objects/${canary}`, { json: object });
        await ask('PATCH', `${at}/objects/${canary}`, { json: object });
        await ask('PUT', `${at}/state`, { json: world });
        await ask('GET', `${at}/state?include=${canary}`);
        await ask('GET', `${at}/objects?cursor=${canary}&${canary}=1`);
        await ask('PUT', `${at}/objects/o`, { text: `{"name": "${canary}` });
        await ask('PUT', `${at}/objects/o`, { json: { [canary]: canary, position: canary } });
        await ask('PUT', `${at}/objects/o`, { json: { properties: { canary: canary.repeat(4_000) } } });
        await ask('PUT', `${at}/objects/o`, { json: object, headers: { 'If-Match': `"${canary}"` } });
        await ask('GET', `/v1/${canary}`);
        await ask('DELETE', `/v1/keys/${canary}`);
        await ask('GET', `${at}/changes?since=${canary}`);
        for (const credential of [key, minted.body?.token, canary, `wk_${tenantId}_${canary}`])
          await askNameless('GET', `${at}/stream?access_token=${credential}`);
        await ask('GET', `${at}/stream?access_token=${key}`, { headers: { 'Last-Event-ID': canary } });
        for (const credential of [canary, `wk_${canary}_${'x'.repeat(43)}`, `wk_${tenantId}_${canary}`])
          await ask('GET', `${at}/state?access_token=${canary}`, {
            headers: {
              Authorization: `Bearer ${credential}`,
              Cookie: canary,
              'User-Agent': canary,
              traceparent: canary,
              'Idempotency-Key': canary,
              'X-Forwarded-For': canary,
            },
          });
        return minted.body?.token as string | undefined;
      };
      const token = await askAll();
      stores.postgres.inject('refuse');
      await askAll();
      stores.postgres.clear();
      stores.postgres.inject('nonsense');
      await ask('PUT', `${at}/objects/${canary}`, { json: object });
      stores.redis.inject('refuse');
      await askAll();
      stores.redis.clear();

      const lines = await linesOf(ids);
      expect(lines).toHaveLength(ids.length);
      expect(new Set(lines.map(({ status }) => status)).size).toBeGreaterThan(5);
      const output = target.lines.join('\n');
      for (const secret of [canary, key, key.slice(-43), token?.split('.')[1]])
        if (secret !== undefined) expect(output.includes(secret)).toBe(false);
    });

    it('are empty with LOG_LEVEL=silent', async () => {
      const silent = await start(makeEnv({ LOG_LEVEL: 'silent' }));
      const requestId = uniqueName('silent');
      await createCall(silent, null)('GET', '/livez', { headers: { 'X-Request-Id': requestId } });
      await silent.stop();
      expect(silent.lines.join()).not.toContain(requestId);
    });

    it('calls made over HTTP for a request join its trace', async () => {
      const seen: unknown[] = [];
      const server = createServer((request, response) => {
        // A Node server also asks its stores at its start. That belongs to no request.
        if (request.headers.traceparent !== undefined) seen.push(request.headers.traceparent);
        response.writeHead(503).end();
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const joined = await start(
        makeEnv({
          DATABASE_HTTP_URL: `${url}/sql`,
          LOG_LEVEL: 'silent',
          REDIS_HOST: '',
          REDIS_PASSWORD: '',
          UPSTASH_REDIS_REST_URL: url,
          UPSTASH_REDIS_REST_TOKEN: 'token',
        }),
      );
      const traceId = randomBytes(16).toString('hex');
      const { headers } = await createCall(joined, null)('GET', '/readyz', {
        headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
      });
      await joined.stop();
      server.close();
      server.closeAllConnections();
      expect(headers.get('traceresponse')).toContain(traceId);
      expect(seen).toEqual([headers.get('traceresponse'), headers.get('traceresponse')]);
    });
  });
}
