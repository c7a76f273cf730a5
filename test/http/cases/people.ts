import { randomBytes } from 'node:crypto';
import { decodeProtectedHeader } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { stack } from '../../support.ts';
import { type Answer, createCall, type Door, openDoor, openSpace } from '../client.ts';
import type { Runtime } from '../runtimes.ts';
import type { Target, TargetEnv } from '../targets.ts';

export function describePeople(target: () => Target): void {
  describe('people', () => {
    let door: Door & { at: string };
    beforeAll(async () => {
      door = await openSpace(target());
    });

    it('are created, updated and returned', async () => {
      const path = '/v1/users/ann';
      const made = await door.call('PUT', path, {
        json: { displayName: 'Ann', avatarUrl: '/ann.glb', properties: { likes: ['tea'] } },
      });
      expect([made.status, made.headers.get('Location')]).toEqual([201, path]);
      expect(made.body).toEqual({
        id: 'ann',
        displayName: 'Ann',
        avatarUrl: '/ann.glb',
        properties: { likes: ['tea'] },
        createdAt: expect.any(String),
        lastSeenAt: expect.any(String),
      });
      expect((await door.call('GET', path)).body).toEqual(made.body);
      // A person that was read can be put back. Absent members are reset.
      expect((await door.call('PUT', path, { json: made.body })).status).toBe(200);
      const renamed = await door.call('PUT', path, { json: { displayName: 'Anna' } });
      expect([renamed.status, renamed.headers.get('Location')]).toEqual([200, null]);
      expect(renamed.body).toMatchObject({ displayName: 'Anna', avatarUrl: null, properties: {} });
      expect(renamed.body.createdAt).toBe(made.body.createdAt);
    });

    it.each<[string, object, string]>([
      ['no name', {}, '/displayName'],
      ['an empty name', { displayName: '' }, '/displayName'],
      ['a name of 257 characters', { displayName: 'x'.repeat(257) }, '/displayName'],
      ['NUL in a name', { displayName: 'a\0' }, '/displayName'],
      ['an address of 2,049 characters', { displayName: 'A', avatarUrl: 'x'.repeat(2_049) }, '/avatarUrl'],
      ['properties that are a list', { displayName: 'A', properties: [] }, '/properties'],
      ['another id than the path’s', { displayName: 'A', id: 'other' }, '/id'],
      ['an unknown member', { displayName: 'A', role: 'owner' }, '/role'],
    ])('are refused with %s', async (_, json, path) => {
      const { status, body } = await door.call('PUT', '/v1/users/refused', { json });
      expect([status, body.code, body.errors[0]?.path]).toEqual([422, 'validation_failed', path]);
      expect((await door.call('GET', '/v1/users/refused')).status).toBe(404);
    });

    it('are refused with 65 KiB of properties, an invalid id, a condition or a query', async () => {
      const json = { displayName: 'A', properties: { text: 'x'.repeat(65 * 1_024) } };
      const large = await door.call('PUT', '/v1/users/refused', { json });
      expect([large.status, large.body.code]).toEqual([422, 'properties_too_large']);
      for (const method of ['GET', 'PUT', 'DELETE']) {
        const options = method === 'PUT' ? { json: { displayName: 'A' } } : {};
        const wrong = await door.call(method, '/v1/users/a%2Fb', options);
        expect([wrong.status, wrong.body.errors[0]?.path]).toEqual([422, '/id']);
        expect((await door.call(method, '/v1/users/ann?limit=1', options)).status).toBe(422);
        if (method === 'GET') continue;
        const conditional = { ...options, headers: { 'If-Match': '*' } };
        expect((await door.call(method, '/v1/users/ann', conditional)).status).toBe(422);
      }
    });

    it('of another tenant are 404, byte for byte like a person who does not exist', async () => {
      const stranger = await openDoor(target());
      const bytesOf = ({ status, text }: Answer) => [status, text];
      const ask = async () =>
        Promise.all(
          ['GET', 'DELETE'].map(async (method) =>
            bytesOf(await stranger.call(method, '/v1/users/hidden', { headers: { 'X-Request-Id': 'same' } })),
          ),
        );
      const before = await ask();
      await door.call('PUT', '/v1/users/hidden', { json: { displayName: 'Hidden' } });
      expect(await ask()).toEqual(before);
      expect(before.map(([status]) => status)).toEqual([404, 404]);
      expect((await door.call('GET', '/v1/users/hidden')).status).toBe(200);
    });

    it.each(['key_0123456789abcdef', 'erased:1'])(
      '[T8] have no id that means a key or an erased person: %s',
      async (id) => {
        const own = await openSpace(target());
        const { status, body } = await own.call('PUT', `/v1/users/${id}`, { json: { displayName: 'Ann' } });
        expect([status, body.code, body.errors[0].path]).toEqual([422, 'validation_failed', '/id']);
      },
    );

    it('[T8] are erased: rows, sessions, avatar and messages are deleted, objects get a pseudonym', async () => {
      const own = await openSpace(target());
      await own.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
      await own.call('PUT', `${own.at}/state`, {
        json: {
          objects: [{ id: 'imported', createdBy: 'ann' }],
          users: [{ id: 'ann', displayName: 'Ann' }],
          chat: [{ id: 'c', userId: 'ann', text: 'hello' }],
        },
      });
      const { call } = await openSession(target(), own, { role: 'editor' });
      expect((await call('PUT', `${own.at}/objects/made`, { json: {} })).body.createdBy).toBe('ann');
      const before = await own.call('GET', `${own.at}/state`);

      expect((await own.call('DELETE', '/v1/users/ann')).status).toBe(204);
      const after = await own.call('GET', `${own.at}/state`);
      expect(after.text).not.toContain('"ann"');
      expect(after.text).not.toContain('Ann');
      expect(after.headers.get('ETag')).not.toBe(before.headers.get('ETag'));
      expect(after.body.users).toEqual([]);
      expect(after.body.chat).toEqual([]);
      const [imported, made] = after.body.objects;
      expect(imported.createdBy).toMatch(/^erased:[0-9a-f-]{36}$/);
      expect([made.createdBy, made.updatedBy]).toEqual([imported.createdBy, imported.createdBy]);

      const refused = await call('GET', `${own.at}/state`);
      expect([refused.status, refused.body.code]).toEqual([401, 'unauthorized']);
      expect((await own.call('GET', '/v1/users/ann')).status).toBe(404);
      expect((await own.call('DELETE', '/v1/users/ann')).status).toBe(404);
    });

    it('[T8b] are erased from the log: followers hear that their messages are deleted, or begin again', async () => {
      const own = await openSpace(target());
      await own.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
      const post = async (text: string, userId: string | null) =>
        (await own.call('POST', `${own.at}/chat`, { json: { text, userId } })).body;
      const said = await post('a secret', 'ann');
      const { seq } = await post('something else', null);
      const changesSince = (since: number) => own.call('GET', `${own.at}/changes?since=${since}`);
      expect((await changesSince(said.seq - 1)).text).toContain('a secret');

      expect((await own.call('DELETE', '/v1/users/ann')).status).toBe(204);
      const behind = await changesSince(said.seq - 1);
      expect([behind.status, behind.body.code]).toEqual([410, 'trimmed']);
      const { body } = await changesSince(seq);
      expect(body.changes).toMatchObject([{ actor: 'worldkeep', ops: [{ op: 'chat.delete', id: said.id }] }]);
      expect((await own.call('GET', `${own.at}/chat`)).body.items).toMatchObject([
        { text: 'something else' },
      ]);
    });

    it('[T8c] are erased with the counts, if the caller prefers them', async () => {
      const own = await openSpace(target());
      await own.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
      await openSession(target(), own, {});
      await own.call('POST', `${own.at}/chat`, { json: { text: 'hello', userId: 'ann' } });
      const { status, headers, body } = await own.call('DELETE', '/v1/users/ann', {
        headers: { Prefer: 'return=representation' },
      });
      expect([status, headers.get('Preference-Applied')]).toEqual([200, 'return=representation']);
      expect(body.erased).toMatchObject({ profiles: 1, memberships: 1, sessions: 1, messages: 1, files: 0 });
    });

    it('[T9] are exported with all that is stored of them, also what is queued', async () => {
      const own = await openSpace(target());
      await own.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann', properties: { likes: 'tea' } } });
      await own.call('PUT', '/v1/users/bob', { json: { displayName: 'Bob' } });
      const { call, id } = await openSession(target(), own, { role: 'editor' });
      await call('PUT', `${own.at}/objects/made`, { json: {} });
      await call('POST', `${own.at}/updates`, {
        json: { ops: [{ op: 'user.patch', id: 'ann', position: { x: 1, y: 2, z: 3 } }] },
      });
      await call('POST', `${own.at}/chat`, {
        json: { text: 'hello' },
        headers: { Prefer: 'respond-async' },
      });
      await own.call('POST', `${own.at}/chat`, { json: { text: 'from bob', userId: 'bob' } });
      await call('POST', '/v1/events', { json: { events: [{ type: 'waved' }] } });
      const { status, headers, body } = await own.call('GET', '/v1/users/ann/export');
      expect([status, headers.get('Content-Type')]).toEqual([200, 'application/json']);
      expect(body).toMatchObject({
        format: 'worldkeep-person/1',
        user: { id: 'ann', displayName: 'Ann', properties: { likes: 'tea' } },
        memberships: [{ spaceId: 'here', role: 'editor', position: { x: 1, y: 2, z: 3 } }],
        sessions: [{ id, spaceId: 'here', role: 'editor', endedAt: null }],
        messages: [{ spaceId: 'here', text: 'hello', deletedAt: null }],
        objects: [{ id: 'made', spaceId: 'here', created: true, updated: true }],
        complete: true,
      });
      expect(body.events.map(({ type }: { type: string }) => type)).toContain('waved');
      const missing = await own.call('GET', '/v1/users/nobody/export');
      expect([missing.status, missing.body.code]).toEqual([404, 'not_found']);
      expect((await own.call('GET', '/v1/users/ann/export?limit=1')).status).toBe(422);
    });
  });

  describe('sessions', () => {
    let door: Door & { at: string };
    beforeAll(async () => {
      door = await openSpace(target());
      await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
    });

    it('are created with a token that is shown once and that acts as the person', async () => {
      const { status, body, headers } = await mint(door, { role: 'editor', ttlSeconds: 60 });
      expect(status).toBe(201);
      expect(headers.get('Cache-Control')).toBe('no-store');
      expect(body).toEqual({
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
        expiresAt: expect.any(String),
      });
      expect(Date.parse(body.expiresAt) - Date.now()).toBeLessThanOrEqual(60_000);
      const call = createCall(target(), body.token);
      expect((await call('GET', `${door.at}/state`)).status).toBe(200);
      const { body: object } = await call('PUT', `${door.at}/objects/by-ann`, { json: {} });
      expect([object.createdBy, object.updatedBy]).toEqual(['ann', 'ann']);
    });

    it('by default last an hour as a viewer, and later have the role of the member', async () => {
      await door.call('PUT', '/v1/users/bob', { json: { displayName: 'Bob' } });
      const first = await openSession(target(), door, { userId: 'bob' });
      expect(Date.parse(first.expiresAt) - Date.now()).toBeGreaterThan(3_000_000);
      const write = (call: Door['call']) => call('PUT', `${door.at}/objects/o`, { json: {} });
      expect((await write(first.call)).status).toBe(403);
      await mint(door, { userId: 'bob', role: 'editor' });
      const second = await openSession(target(), door, { userId: 'bob' });
      expect((await write(second.call)).status).toBe(201);
    });

    it('are not created for a person or a space that does not exist or belongs to another tenant', async () => {
      const stranger = await openSpace(target(), 'theirs');
      await stranger.call('PUT', '/v1/users/them', { json: { displayName: 'Them' } });
      await door.call('PUT', '/v1/spaces/closed', { json: { name: 'Closed' } });
      await door.call('DELETE', '/v1/spaces/closed');
      for (const [input, missing] of [
        [{ userId: 'nobody' }, 'this person'],
        [{ userId: 'them' }, 'this person'],
        [{ spaceId: 'nowhere' }, 'this space'],
        [{ spaceId: 'closed' }, 'this space'],
        [{ spaceId: 'theirs' }, 'this space'],
        [{ userId: 'nobody', spaceId: 'nowhere' }, 'this space'],
      ] as const) {
        const { status, body } = await mint(door, input);
        expect([input, status, body.code, body.detail]).toEqual([
          ...[input, 404, 'not_found'],
          `Worldkeep cannot find ${missing}.`,
        ]);
      }
    });

    it.each<[string, object, string]>([
      ['more than a day', { ttlSeconds: 86_401 }, '/ttlSeconds'],
      ['no time', { ttlSeconds: 0 }, '/ttlSeconds'],
      ['an unknown role', { role: 'admin' }, '/role'],
      ['an invalid id', { userId: 'a/b' }, '/userId'],
      ['no person', { userId: undefined }, '/userId'],
      ['an unknown member', { scopes: ['admin'] }, '/scopes'],
    ])('are not created for %s', async (_, input, path) => {
      const { status, body } = await mint(door, input);
      expect([status, body.code, body.errors[0]?.path]).toEqual([422, 'validation_failed', path]);
    });

    it('are kept alive and ended by their own token or by a key', async () => {
      for (const by of ['token', 'key']) {
        const session = await openSession(target(), door, {});
        const call = by === 'token' ? session.call : door.call;
        expect((await call('POST', `/v1/sessions/${session.id}/heartbeat`)).status).toBe(204);
        expect((await call('DELETE', `/v1/sessions/${session.id}`)).status).toBe(204);
        expect((await session.call('GET', `${door.at}/state`)).status).toBe(401);
        expect((await session.call('DELETE', `/v1/sessions/${session.id}`)).status).toBe(401);
        expect((await door.call('POST', `/v1/sessions/${session.id}/heartbeat`)).status).toBe(404);
        expect((await door.call('DELETE', `/v1/sessions/${session.id}`)).status).toBe(204);
      }
    });

    it('of another tenant are 404, and continue', async () => {
      const stranger = await openDoor(target());
      const session = await openSession(target(), door, {});
      for (const id of [session.id, 'none']) {
        expect((await stranger.call('POST', `/v1/sessions/${id}/heartbeat`)).status).toBe(404);
        expect((await stranger.call('DELETE', `/v1/sessions/${id}`)).status).toBe(404);
      }
      expect((await session.call('GET', door.at)).status).toBe(200);
    });

    it('are 401 for every other token, and for a token in the query', async () => {
      const { token, call } = await openSession(target(), door, { role: 'owner' });
      const [header, payload = '', signature] = token.split('.');
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
      const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const { kid } = decodeProtectedHeader(token);
      for (const forged of [
        `${header}.${encode({ ...claims, space: 'other' })}.${signature}`,
        `${encode({ alg: 'none', kid })}.${payload}.`,
        `${token.slice(0, -4)}AAAA`,
        `${token}.${signature}`,
        'a.b.c',
      ]) {
        const { status, body, headers } = await createCall(target(), forged)('GET', door.at);
        expect([status, body.code]).toEqual([401, 'unauthorized']);
        expect(headers.get('WWW-Authenticate')).toContain('error="invalid_token"');
      }
      const stranger = createCall(target(), null);
      expect((await stranger('GET', `${door.at}?access_token=${token}`)).status).toBe(401);
      expect((await call('GET', `${door.at}?access_token=${token}`)).status).toBe(422);
      expect((await call('GET', door.at)).status).toBe(200);
    });

    it('of an owner save data of the space, and no data of the tenant', async () => {
      const { call } = await openSession(target(), door, { role: 'owner' });
      for (const part of ['users', 'models', 'media']) {
        const item = { id: 'brought', displayName: 'Brought', name: 'brought', url: '/brought' };
        const { displayName, ...asset } = item;
        const json = {
          objects: [{ id: 'brought' }],
          [part]: [part === 'users' ? { id: item.id, displayName } : asset],
        };
        for (const mode of ['replace', 'merge']) {
          const { status, body } = await call('PUT', `${door.at}/state?mode=${mode}`, { json });
          expect([status, body.code, body.errors]).toEqual([
            ...[403, 'forbidden'],
            [{ path: `/${part}`, message: 'may only be saved with a key' }],
          ]);
        }
      }
      expect((await door.call('GET', `${door.at}/state`)).text).not.toContain('brought');

      const kept = await call('GET', `${door.at}/state?include=objects,chat`);
      const { objects, chat } = kept.body;
      expect((await call('PUT', `${door.at}/state`, { json: { objects, chat } })).status).toBe(200);
      const settings = { name: 'Mine', settings: { fog: 1 } };
      expect((await call('PUT', door.at, { json: settings })).body).toMatchObject(settings);
    });
  });

  async function mint(door: Door, input: object): Promise<Answer> {
    return door.call('POST', '/v1/sessions', { json: { userId: 'ann', spaceId: 'here', ...input } });
  }
}

/** A session of Ann in the space `here`, unless `input` changes that. */
export async function openSession(target: Target, door: Door, input: object) {
  const json = { userId: 'ann', spaceId: 'here', ...input };
  const { status, body } = await door.call('POST', '/v1/sessions', { json });
  if (status !== 201) throw new Error(`the session was not created: ${status} ${body.code}`);
  const { id, token, expiresAt } = body as { id: string; token: string; expiresAt: string };
  return { id, token, expiresAt, call: createCall(target, token) };
}

/** Cases with several processes, and with other signing keys. */
export function describeSessionsElsewhere({ start, makeEnv }: Runtime): void {
  describe('sessions, with several processes', () => {
    async function using<T>(changes: TargetEnv, run: (target: Target) => Promise<T>): Promise<T> {
      const target = await start(makeEnv({ API_KEY_CACHE_SECONDS: '0', ...changes }));
      try {
        return await run(target);
      } finally {
        await target.stop();
      }
    }
    const makeKey = () => randomBytes(32).toString('base64');

    it('accept tokens of the previous signing key only while it is configured', async () => {
      const [first, second] = [makeKey(), makeKey()];
      const { door, old } = await using({ SESSION_SIGNING_KEY: first }, async (target) => {
        const door = await openSpace(target);
        await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
        return { door, old: await openSession(target, door, {}) };
      });
      const read = async (target: Target, token: string) =>
        (await createCall(target, token)('GET', door.at)).status;
      const key = await door.apiKey(['write']);
      const rotating = { SESSION_SIGNING_KEY: second, SESSION_SIGNING_KEY_PREVIOUS: first };
      const renewed = await using(rotating, async (target) => {
        expect(await read(target, old.token)).toBe(200);
        return openSession(target, { ...door, call: createCall(target, key) }, {});
      });
      await using({ SESSION_SIGNING_KEY: second }, async (target) => {
        expect(await read(target, old.token)).toBe(401);
        expect(await read(target, renewed.token)).toBe(200);
      });
    });

    it('end in every process, also with their space, which an owner cannot create again', async () => {
      await using({}, async (here) => {
        const door = await openSpace(here);
        await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
        const [ended, left] = [
          await openSession(here, door, {}),
          await openSession(here, door, { role: 'owner' }),
        ];
        await using({}, async (there) => {
          const key = await door.apiKey(['write']);
          const elsewhere = createCall(there, key);
          expect((await createCall(there, ended.token)('GET', door.at)).status).toBe(200);
          expect((await elsewhere('DELETE', `/v1/sessions/${ended.id}`)).status).toBe(204);
          expect((await ended.call('GET', door.at)).status).toBe(401);
          expect((await elsewhere('DELETE', door.at)).status).toBe(204);
        });
        expect((await left.call('PUT', door.at, { json: { name: 'Again' } })).status).toBe(401);
        expect((await door.call('GET', door.at)).status).toBe(404);
        await door.call('PUT', door.at, { json: { name: 'Again' } });
        expect((await left.call('GET', door.at)).status).toBe(401);
      });
    });

    it('that are still cached create neither their space nor their person again', async () => {
      await using({ API_KEY_CACHE_SECONDS: '300' }, async (here) => {
        const door = await openSpace(here);
        await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
        const { call } = await openSession(here, door, { role: 'owner' });
        expect((await call('GET', door.at)).status).toBe(200);
        await using({}, async (there) => {
          const elsewhere = createCall(there, await door.apiKey(['write']));
          expect((await elsewhere('DELETE', '/v1/users/ann')).status).toBe(204);
          expect((await elsewhere('DELETE', door.at)).status).toBe(204);
        });
        expect((await call('PUT', '/v1/users/ann', { json: { displayName: 'Back' } })).status).toBe(404);
        expect((await call('PUT', door.at, { json: { name: 'Back' } })).status).toBe(404);
        expect((await door.call('GET', '/v1/users/ann')).status).toBe(404);
        expect((await door.call('GET', door.at)).status).toBe(404);
      });
    });

    it('without a signing key are 501 at their creation, and no token is accepted', async () => {
      await using({ SESSION_SIGNING_KEY: '' }, async (target) => {
        const door = await openSpace(target);
        await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
        const json = { userId: 'ann', spaceId: 'here' };
        const { status, body } = await door.call('POST', '/v1/sessions', { json });
        expect([status, body.code]).toEqual([501, 'no_signing_key']);
        expect(body.detail).toContain('SESSION_SIGNING_KEY');
        const minted = await using({}, async (other) => {
          const key = await door.apiKey(['write']);
          return openSession(other, { ...door, call: createCall(other, key) }, {});
        });
        expect((await createCall(target, minted.token)('GET', door.at)).status).toBe(401);
        expect((await door.call('DELETE', `/v1/sessions/${minted.id}`)).status).toBe(204);
        expect(body.detail).not.toContain(stack().sessionSigningKey);
      });
    });
  });
}
