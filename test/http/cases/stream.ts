import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogStore } from '../../../src/redis/log.ts';
import { APPEND, SETTLE } from '../../../src/redis/scripts.ts';
import { openTcpRedis } from '../../../src/redis/tcp.ts';
import type { Answer, Door } from '../client.ts';
import { createCall, openSpace } from '../client.ts';
import { type EventClient, type OpenEvents, openEvents } from '../events.ts';
import type { OwnRedis } from '../own-redis.ts';
import type { Runtime } from '../runtimes.ts';
import type { Target } from '../targets.ts';
import { openSession } from './people.ts';

/** A stream that disappeared loses its place after one and a half heartbeats. A heartbeat is 1 s here. */
const LEASE = { timeout: 20_000, interval: 100 };
const NO_LIMITS = { bytesMax: 2 ** 40, entriesMax: 2 ** 40, ageMsMax: 2 ** 40 };

export function describeStream({ start, makeEnv, withoutRedis, openOwnRedis }: Runtime): void {
  describe('a stream', () => {
    let own: OwnRedis;
    let target: Target;
    beforeAll(async () => {
      own = await openOwnRedis();
      target = await start(
        makeEnv({ ...own.env, STREAM_HEARTBEAT_SECONDS: '1', API_KEY_CACHE_SECONDS: '0' }),
      );
    });
    afterAll(async () => {
      await target?.stop();
      await own?.close();
    });

    /** A space with a key and functions to write to it. */
    async function openPlace() {
      const door = await openSpace(target);
      const credential = await door.apiKey(['read', 'write']);
      return {
        ...door,
        credential,
        prefix: `wk:{${door.tenantId}!here}`,
        put: async (...ids: string[]): Promise<number> => {
          const ops = ids.map((id) => ({ op: 'put', id }));
          const { status, body } = await door.call('POST', `${door.at}/updates`, { json: { ops } });
          expect(status).toBe(202);
          return body.seq;
        },
        open: (options: OpenEvents = {}): Promise<EventClient> =>
          openEvents(target, door.at, { credential, ...options }),
        incarnation: async () =>
          (await own.client.hget(`wk:{${door.tenantId}!here}:meta`, 'incarnation')) ?? '',
        streams: () => own.client.zcard(`wk:{${door.tenantId}!here}:streams`),
      };
    }

    it('[R1] sends each change once, in order, as it was written', async () => {
      const { open, put, call, at } = await openPlace();
      const first = await put('before');
      const client = await open();
      const { headers } = client.response;
      expect(headers.get('Content-Type')).toBe('text/event-stream; charset=utf-8');
      expect(headers.get('Cache-Control')).toBe('no-cache, no-transform');
      expect(headers.get('X-Accel-Buffering')).toBe('no');
      const op = { op: 'put', id: 'a', position: { x: 1e-7, y: -3, z: 0 }, properties: { 'ü🌍': [{}, []] } };
      const { body } = await call('POST', `${at}/updates`, { json: { ops: [op] } });
      for (let i = 0; i < 20; i++) await put(`o${i}`);
      await expect.poll(client.ids).toEqual(['a', ...Array.from({ length: 20 }, (_, i) => `o${i}`)]);
      const [event] = client.events;
      expect(event).toMatchObject({ event: 'change', id: String(body.seq) });
      expect(JSON.parse(event?.data ?? '')).toEqual({
        seq: body.seq,
        prev: first,
        actor: expect.stringMatching(/^key_/),
        ops: [op],
      });
      expect(client.retryMs()).toBe(1_000);
      await expect.poll(() => client.comments.length).toBeGreaterThan(0);
      await client.leave();
    });

    it('[R1] continues after the last event that the client saw', async () => {
      const { open, put } = await openPlace();
      const first = await put('a');
      const second = await put('b');
      await put('c');
      const bySince = await open({ query: `?since=${first}` });
      const byId = await open({ query: `?since=${first}`, headers: { 'Last-Event-ID': String(second) } });
      await put('d');
      await expect.poll(bySince.ids).toEqual(['b', 'c', 'd']);
      await expect.poll(byId.ids).toEqual(['c', 'd']);
      await Promise.all([bySince.leave(), byId.leave()]);
    });

    it('[R1d] sends `reset` if the log no longer has the next changes, and continues', async () => {
      const { open, put, prefix, incarnation, call, at } = await openPlace();
      const first = await put('a');
      await put('b');
      // Commits first: if uncommitted entries were trimmed, they would be lost.
      const committed = await call('POST', `${at}/updates`, {
        json: { ops: [{ op: 'put', id: 'c' }] },
        headers: { Prefer: 'wait' },
      });
      expect(committed.status).toBe(200);
      const head = committed.body.seq;
      await own.client.xtrim(`${prefix}:${await incarnation()}:log`, 'MINID', head);
      const client = await open({ query: `?since=${first}` });
      await put('d');
      await expect.poll(client.ids).toEqual(['d']);
      expect(client.events[0]).toMatchObject({ event: 'reset', id: String(head), data: `{"seq":${head}}` });
      await client.leave();
    });

    it('[L7] sends `reset` if a saved world replaces the previous one', async () => {
      const { open, put, call, at } = await openPlace();
      await put('a');
      const client = await open();
      const saved = await call('PUT', `${at}/state`, { json: { objects: [{ id: 'new' }] } });
      expect(saved.status).toBe(200);
      await put('b');
      await expect.poll(client.ids).toEqual(['b']);
      const [reset, change] = client.events;
      expect(reset).toMatchObject({ event: 'reset', data: `{"seq":${saved.body.seq}}` });
      expect(JSON.parse(change?.data ?? '')).toMatchObject({ prev: saved.body.seq });
      expect(client.events.map(({ data }) => data).join()).not.toContain('stage');
      await client.leave();
    });

    it('sends presence, without an event id', async () => {
      const { open, put, prefix, incarnation } = await openPlace();
      await put('a');
      const client = await open();
      const presence = { joined: { userId: 'ann' } };
      await own.client.publish(`${prefix}:${await incarnation()}:live`, JSON.stringify({ presence }));
      await expect
        .poll(() => client.events)
        .toMatchObject([{ event: 'presence', data: JSON.stringify(presence) }]);
      expect(client.events[0]?.id).toBeUndefined();
      await client.leave();
    });

    it('accepts the credential in the URL, as the only route', async () => {
      const { open, put, credential, at, call } = await openPlace();
      const token = `access_token=${credential}`;
      const client = await openEvents(target, at, { query: `?${token}` });
      await put('a');
      await expect.poll(client.ids).toEqual(['a']);
      await client.leave();
      const stranger = createCall(target, null);
      expect((await stranger('GET', `${at}/stream?access_token=wk_a_b`)).status).toBe(401);
      expect((await stranger('GET', `${at}/stream?access_token=`)).status).toBe(401);
      expect((await stranger('GET', `${at}/changes?${token}`)).status).toBe(401);
      expect((await call('GET', `${at}/changes?${token}`)).status).toBe(422);
      await expect(open({ query: `?${token}` })).rejects.toThrow('422 validation_failed');
    });

    it('is refused if the space does not exist, or if the request is invalid', async () => {
      const { call, at } = await openPlace();
      const codes = async (path: string, headers = {}) => {
        const { status, body } = await call('GET', path, { headers });
        return [status, body?.code];
      };
      expect(await codes('/v1/spaces/nowhere/stream')).toEqual([404, 'not_found']);
      for (const since of ['-1', 'now', '9'.repeat(17)])
        expect(await codes(`${at}/stream?since=${since}`)).toEqual([422, 'validation_failed']);
      for (const value of ['', '1', 'True', 'yes']) {
        const { status, body } = await call('GET', `${at}/stream?committed=${value}`);
        expect([status, body]).toMatchObject([
          422,
          {
            code: 'validation_failed',
            errors: [{ path: '/committed', message: 'must be "true" or "false"' }],
          },
        ]);
      }
      expect(await codes(`${at}/stream`, { 'Last-Event-ID': 'x' })).toEqual([422, 'validation_failed']);
      const head = await call('HEAD', `${at}/stream`);
      expect([head.status, head.headers.get('Content-Type')]).toEqual([
        200,
        'text/event-stream; charset=utf-8',
      ]);
      expect((await call('HEAD', '/v1/spaces/nowhere/stream')).status).toBe(404);
    });

    it('[R2] is one of at most ten for a session, in all processes', async () => {
      const door = await openPlace();
      await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
      const { token: credential } = await openSession(target, door, {});
      const clients = await Promise.all(Array.from({ length: 10 }, () => door.open({ credential })));
      const refused = await createCall(target, credential)('GET', `${door.at}/stream`);
      expect([refused.status, refused.body.code]).toEqual([429, 'too_many_streams']);
      expect(Number(refused.headers.get('Retry-After'))).toBeGreaterThan(0);
      const others = await door.open();
      expect(await door.streams()).toBe(11);
      await Promise.all([...clients, others].map((client) => client.leave()));
    });

    it('[R2] frees its place and its subscription when its reader leaves', async () => {
      const { open, put, streams, prefix, incarnation } = await openPlace();
      await put('a');
      const client = await open();
      const channel = `${prefix}:${await incarnation()}:live`;
      const countHeard = async () => (await own.client.pubsub('NUMSUB', channel))[1];
      expect([await streams(), await countHeard()]).toEqual([1, 1]);
      await client.leave();
      await expect.poll(countHeard, LEASE).toBe(0);
      await expect.poll(streams, LEASE).toBe(0);
    });

    it('[R2a] closes if its reader does not read', async () => {
      const { open: _, put, streams, credential, at, call } = await openPlace();
      await put('a');
      const response = await target.fetch(`${at}/stream`, {
        headers: { Authorization: `Bearer ${credential}` },
      });
      expect([response.status, await streams()]).toEqual([200, 1]);
      const ops = Array.from({ length: 16 }, (_, i) => ({
        op: 'put',
        id: `o${i}`,
        properties: { text: 'x'.repeat(60_000) },
      }));
      await expect
        .poll(async () => {
          const { status } = await call('POST', `${at}/updates`, { json: { ops } });
          return status === 202 ? streams() : `${status}`;
        }, LEASE)
        .toBe(0);
      await response.body?.cancel().catch(() => undefined);
    });

    it('[R2c] ends with its session, or with its key', async () => {
      const door = await openPlace();
      await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
      const session = await openSession(target, door, {});
      const { body: key } = await door.call('POST', '/v1/keys', { json: { scopes: ['read'] } });
      const ofSession = await door.open({ credential: session.token });
      const ofKey = await door.open({ credential: key.secret });
      const stays = await door.open();
      expect((await door.call('DELETE', `/v1/sessions/${session.id}`)).status).toBe(204);
      expect((await door.call('DELETE', `/v1/keys/${key.id}`)).status).toBe(204);
      expect(await Promise.all([ofSession.ended, ofKey.ended])).toEqual(['ended', 'ended']);
      await door.put('a');
      await expect.poll(stays.ids).toEqual(['a']);
      await stays.leave();
    });

    it('ends immediately when its space is deleted, and resets in a space that was created again', async () => {
      const { open, put, call, at } = await openPlace();
      await put('a');
      const client = await open();
      const seen = await put('b');
      await expect.poll(client.ids).toEqual(['b']);
      expect((await call('DELETE', at)).status).toBe(204);
      expect(await client.ended).toBe('ended');
      await expect(open({ headers: { 'Last-Event-ID': String(seen) } })).rejects.toThrow('404 not_found');
      expect((await call('PUT', at, { json: { name: 'Again' } })).status).toBe(201);
      const again = await open({ headers: { 'Last-Event-ID': String(seen) } });
      await put('c');
      await expect.poll(again.ids).toEqual(['c']);
      expect(again.events[0]).toMatchObject({ event: 'reset' });
      await again.leave();
    });

    it('[R1c] finds a lost message by the next heartbeat', async () => {
      const { open, put, tenantId } = await openPlace();
      await put('a');
      const client = await open();
      const { port = 0, password = '' } = own.client.options;
      const redis = openTcpRedis({ host: '127.0.0.1', port, password, timeoutMs: 5_000 });
      const log = createLogStore({
        ...redis,
        eval: (script, keys, args) =>
          redis.eval(script, keys, script === APPEND ? args.with(2, 'nobody hears this') : args),
      });
      const outcome = await log.append(
        { tenantId, spaceId: 'here' },
        {
          actor: 'mia',
          waits: false,
          idempotency: null,
          budget: null,
          opened: null,
          backlog: NO_LIMITS,
          entries: [{ ops: '[{"op":"put","id":"lost"}]', count: 1 }],
        },
      );
      expect(outcome.status).toBe('appended');
      await expect.poll(client.ids).toEqual(['lost']);
      await put('heard');
      await expect.poll(client.ids).toEqual(['lost', 'heard']);
      await Promise.all([redis.close(), client.leave()]);
    });

    it('[R1h] sends `committed` after the change, only to streams that asked', async () => {
      const { open, put, call, at } = await openPlace();
      const first = await put('a');
      const [asked, ...others] = await Promise.all(
        ['true', 'false', ''].map((value) =>
          open({ query: `?since=${first}${value && `&committed=${value}`}` }),
        ),
      );
      const committed = await call('POST', `${at}/updates`, {
        json: { ops: [{ op: 'put', id: 'b' }] },
        headers: { Prefer: 'wait' },
      });
      const { seq } = committed.body;
      const commits = () => asked?.events.filter(({ event }) => event === 'committed') ?? [];
      await expect.poll(() => commits().at(-1)?.data).toBe(`{"seq":${seq}}`);
      expect(commits().every(({ id }) => id === undefined)).toBe(true);
      expect(asked?.events.at(-1)?.event).toBe('committed');
      expect(asked?.events.find(({ event }) => event === 'change')?.id).toBe(String(seq));
      for (const { comments } of others) {
        const before = comments.length;
        await expect.poll(() => comments.length, LEASE).toBeGreaterThan(before);
      }
      expect(others.map(({ events }) => events.map(({ event }) => event))).toEqual([['change'], ['change']]);
      await Promise.all([asked, ...others].map((client) => client?.leave()));
    });

    it('[R1j] sends `committed` by the next heartbeat if its message was lost', async () => {
      const { open, put, tenantId, incarnation } = await openPlace();
      await put('a');
      const client = await open({ query: '?committed=true' });
      const { port = 0, password = '' } = own.client.options;
      const redis = openTcpRedis({ host: '127.0.0.1', port, password, timeoutMs: 5_000 });
      const log = createLogStore({
        ...redis,
        eval: (script, keys, args) =>
          redis.eval(script, keys, script === SETTLE ? args.with(15, 'nobody hears this') : args),
      });
      const address = { tenantId, spaceId: 'here' };
      // No process drains this entry: only the test says that it is committed.
      const outcome = await log.append(address, {
        actor: 'mia',
        waits: false,
        idempotency: null,
        budget: null,
        opened: null,
        backlog: NO_LIMITS,
        entries: [{ ops: '[{"op":"put","id":"b"}]', count: 1 }],
      });
      if (outcome.status !== 'appended') throw new Error(outcome.status);
      await log.settle(address, {
        incarnation: await incarnation(),
        committed: outcome.seq,
        token: null,
        next: 'stop',
        operations: 1,
        entries: 1,
        bytes: 0,
        latencyMsSum: 0,
      });
      await expect
        .poll(() => client.events.at(-1))
        .toMatchObject({ event: 'committed', data: `{"seq":${outcome.seq}}` });
      expect(client.ids()).toEqual(['b']);
      await Promise.all([redis.close(), client.leave()]);
    });

    it('[R1] continues after its subscription was cut', async () => {
      const { open, put } = await openPlace();
      await put('a');
      const client = await open();
      const expected: string[] = [];
      for (let i = 0; i < 5; i++) {
        await own.client.client('KILL', 'TYPE', 'PUBSUB');
        for (const id of [`${i}-one`, `${i}-two`]) {
          await put(id);
          expected.push(id);
        }
        await expect.poll(client.ids).toEqual(expected);
      }
      expect(client.events.every(({ event }) => event === 'change')).toBe(true);
      await client.leave();
    });

    describe('of changes, as a list on request', () => {
      it('[R1f] has the later changes, and the end of the log', async () => {
        const { put, call, at } = await openPlace();
        const made = (await call('GET', `${at}/changes`)).body;
        expect(made).toEqual({ changes: [], head: expect.any(Number) });
        expect((await call('GET', `${at}/changes?since=${made.head}`)).body).toEqual(made);
        const [first, second, head] = [await put('a'), await put('b', 'c'), await put('d')];
        const { body } = await call('GET', `${at}/changes?since=${first}`);
        expect(body).toEqual({
          changes: [
            {
              seq: second,
              actor: expect.stringMatching(/^key_/),
              ops: ['b', 'c'].map((id) => ({ op: 'put', id })),
            },
            { seq: head, actor: expect.stringMatching(/^key_/), ops: [{ op: 'put', id: 'd' }] },
          ],
          head,
        });
        const { body: one } = await call('GET', `${at}/changes?since=${made.head}&limit=1`);
        expect(one).toMatchObject({ changes: [{ seq: first }], head });
        // A seq between two entries counts like the earlier entry.
        expect((await call('GET', `${at}/changes?since=${head - 1}`)).body.changes).toHaveLength(1);
        expect((await call('GET', `${at}/changes?since=${head}`)).body).toEqual({ changes: [], head });
      });

      it('[R1f] is 410 if the changes are not all there', async () => {
        const { put, call, at, prefix, incarnation } = await openPlace();
        const made = (await call('GET', `${at}/changes`)).body.head;
        const codeOf = ({ status, body }: Answer) => [status, body?.code];
        for (const since of [made - 1, made + 1])
          expect(codeOf(await call('GET', `${at}/changes?since=${since}`))).toEqual([410, 'trimmed']);
        const first = await put('a');
        const saved = await call('PUT', `${at}/state`, { json: { objects: [] } });
        const head = await put('b');
        const before = await call('GET', `${at}/changes?since=${made}`);
        expect(before.body).toMatchObject({ changes: [{ seq: first }], head });
        expect(codeOf(await call('GET', `${at}/changes?since=${first}`))).toEqual([410, 'trimmed']);
        expect((await call('GET', `${at}/changes?since=${saved.body.seq}`)).body.changes).toHaveLength(1);
        expect(codeOf(await call('GET', `${at}/changes?since=${head + 1}`))).toEqual([410, 'trimmed']);
        // All is committed, so that no drain misses the trimmed entries.
        const last = await call('POST', `${at}/updates`, {
          json: { ops: [{ op: 'put', id: 'c' }] },
          headers: { Prefer: 'wait' },
        });
        await own.client.xtrim(`${prefix}:${await incarnation()}:log`, 'MAXLEN', 0);
        expect(codeOf(await call('GET', `${at}/changes?since=${first}`))).toEqual([410, 'trimmed']);
        expect((await call('GET', `${at}/changes?since=${last.body.seq}`)).body).toEqual({
          changes: [],
          head: last.body.seq,
        });
      });

      it('is refused if the space does not exist, or if the request is invalid', async () => {
        const { call, at } = await openPlace();
        expect((await call('GET', '/v1/spaces/nowhere/changes')).status).toBe(404);
        expect((await call('GET', '/v1/spaces/nowhere/changes?since=1')).status).toBe(404);
        for (const query of ['since=x', 'limit=0', 'limit=1001', 'since=1&since=2', 'until=1'])
          expect((await call('GET', `${at}/changes?${query}`)).status).toBe(422);
      });
    });
  });

  it('[F6] without a Redis there are no streams', async () => {
    const target = await start(makeEnv(withoutRedis));
    try {
      const door: Door & { at: string } = await openSpace(target);
      for (const path of ['changes', 'stream']) {
        const { status, body } = await door.call('GET', `${door.at}/${path}`);
        expect([status, body.code]).toEqual([501, 'no_live_log']);
      }
    } finally {
      await target.stop();
    }
  });
}
