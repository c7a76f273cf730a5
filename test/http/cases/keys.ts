import { beforeAll, describe, expect, it } from 'vitest';
import { createCall, type Door, openDoor, openSpace } from '../client.ts';
import type { Target } from '../targets.ts';

export function describeKeys(target: () => Target): void {
  describe('keys', () => {
    let door: Door;
    beforeAll(async () => {
      door = await openDoor(target());
    });

    const issue = (json: unknown) => door.call('POST', '/v1/keys', { json });

    it('are created with a secret that is shown once and that works', async () => {
      const { status, body, headers } = await issue({ scopes: ['read'] });
      expect(status).toBe(201);
      expect(headers.get('Cache-Control')).toBe('no-store');
      expect(body).toEqual({
        id: expect.any(String),
        tenantId: door.tenantId,
        scopes: ['read'],
        createdAt: expect.any(String),
        expiresAt: null,
        revokedAt: null,
        secret: expect.stringMatching(/^wk_.+_[A-Za-z0-9_-]{43}$/),
      });
      expect((await createCall(target(), body.secret)('GET', '/v1/spaces')).status).toBe(200);

      const { secret, ...rest } = body;
      const list = await door.call('GET', '/v1/keys');
      expect(list.body.items).toContainEqual(rest);
      expect(list.text).not.toContain(secret);
    });

    it('are listed page by page', async () => {
      const own = await openDoor(target());
      const first = await own.call('GET', '/v1/keys?limit=1');
      expect(first.body.items).toHaveLength(1);
      const second = await own.call('GET', `/v1/keys?limit=1&cursor=${first.body.nextCursor}`);
      expect(second.body.items[0].id).not.toBe(first.body.items[0].id);
      expect(second.body.nextCursor).toBeNull();
    });

    it('are refused after they were revoked', async () => {
      const { body } = await issue({ scopes: ['read'] });
      const call = createCall(target(), body.secret);
      expect((await call('GET', '/v1/spaces')).status).toBe(200);
      expect((await door.call('DELETE', `/v1/keys/${body.id}`)).status).toBe(204);
      expect((await call('GET', '/v1/spaces')).body).toMatchObject({ status: 401, code: 'unauthorized' });
      const listed = (await door.call('GET', '/v1/keys')).body.items;
      expect(listed.find(({ id }: { id: string }) => id === body.id).revokedAt).toEqual(expect.any(String));
      expect((await door.call('DELETE', `/v1/keys/${body.id}`)).status).toBe(204);
    });

    it('expire if they have an expiry', async () => {
      const { status, body } = await issue({ scopes: ['read'], expiresAt: '2100-01-01T00:00:00Z' });
      expect(status).toBe(201);
      expect(Date.parse(body.expiresAt)).toBe(Date.UTC(2100, 0, 1));
    });

    it.each([
      ['no scopes', {}, '/scopes'],
      ['an empty list of scopes', { scopes: [] }, '/scopes'],
      ['a scope that is none', { scopes: ['read', 'root'] }, '/scopes/1'],
      ['an end that has passed', { scopes: ['read'], expiresAt: '2020-01-01T00:00:00Z' }, '/expiresAt'],
      ['an end that is no time', { scopes: ['read'], expiresAt: 'soon' }, '/expiresAt'],
      ['a member that is not known', { scopes: ['read'], tenantId: 'other' }, '/tenantId'],
    ])('are not given out for %s', async (_, json, path) => {
      const before = (await door.call('GET', '/v1/keys?limit=1000')).text;
      const { status, body } = await issue(json);
      expect([status, body.code, body.errors[0]?.path]).toEqual([422, 'validation_failed', path]);
      expect((await door.call('GET', '/v1/keys?limit=1000')).text).toBe(before);
    });

    it('are 404 if the tenant has no key with that id', async () => {
      expect((await door.call('DELETE', '/v1/keys/nobody')).status).toBe(404);
    });
  });

  describe('scopes', () => {
    const READS = [
      ['GET', '/v1/spaces'],
      ['GET', '/v1/spaces/here'],
      ['GET', '/v1/spaces/here/state'],
      ['GET', '/v1/spaces/here/statistics'],
      ['GET', '/v1/spaces/here/objects'],
      ['GET', '/v1/spaces/here/objects/o'],
      ['HEAD', '/v1/spaces/here/objects/o'],
    ] as const;
    const WRITES = [
      ['PUT', '/v1/spaces/there', { name: 'There' }],
      ['PUT', '/v1/spaces/here/objects/o', {}],
      ['PATCH', '/v1/spaces/here/objects/o', { name: 'n' }],
      ['DELETE', '/v1/spaces/here/objects/o', undefined],
      ['PUT', '/v1/spaces/here/state', { objects: [] }],
      ['DELETE', '/v1/spaces/here', undefined],
    ] as const;
    const ADMINISTRATION = [
      ['GET', '/v1/keys', undefined],
      ['POST', '/v1/keys', { scopes: ['admin'] }],
      ['DELETE', '/v1/keys/some', undefined],
    ] as const;
    let door: Door;
    beforeAll(async () => {
      door = await openDoor(target());
      await door.call('PUT', '/v1/spaces/here', { json: { name: 'Here' } });
      await door.call('PUT', '/v1/spaces/here/objects/o', { json: { name: 'before' } });
    });

    it('read can read, and changes nothing', async () => {
      const call = createCall(target(), await door.apiKey(['read']));
      for (const [method, path] of READS)
        expect([path, (await call(method, path)).status]).toEqual([path, 200]);
      for (const [method, path, json] of [...WRITES, ...ADMINISTRATION]) {
        const { status, body } = await call(method, path, json === undefined ? {} : { json });
        expect([method, path, status, body.code]).toEqual([method, path, 403, 'forbidden']);
      }
      expect((await door.call('GET', '/v1/spaces/here/objects/o')).body.name).toBe('before');
      expect((await door.call('GET', '/v1/spaces/there')).status).toBe(404);
    });

    it('admin can create keys, and cannot read or write worlds', async () => {
      const call = createCall(target(), await door.apiKey(['admin']));
      expect((await call('GET', '/v1/keys')).status).toBe(200);
      expect((await call('POST', '/v1/keys', { json: { scopes: ['read'] } })).status).toBe(201);
      expect((await call('GET', '/v1/spaces')).status).toBe(403);
      expect((await call('PUT', '/v1/spaces/there', { json: { name: 'There' } })).status).toBe(403);
    });

    it('write can write, and reads nothing', async () => {
      const call = createCall(target(), await door.apiKey(['write']));
      for (const [method, path] of READS) expect((await call(method, path)).status).toBe(403);
      for (const [method, path, json] of WRITES) {
        const { status } = await call(method, path, json === undefined ? {} : { json });
        expect([method, path, [200, 201, 204].includes(status)]).toEqual([method, path, true]);
      }
    });

    it('write does not see the result of its change: 204, with the ETag', async () => {
      const own = await openSpace(target());
      const person = { displayName: 'Ann', properties: { secret: 1 } };
      await own.call('PUT', `${own.at}/objects/o`, { json: { properties: { secret: 1 } } });
      await own.call('PUT', '/v1/users/ann', { json: person });
      const call = createCall(target(), await own.apiKey(['write']));
      const changes = [
        await call('PATCH', `${own.at}/objects/o`, { json: {} }),
        await call('PUT', `${own.at}/objects/o`, { json: {} }),
        await call('PUT', '/v1/users/ann', { json: person }),
        await call('PUT', own.at, { json: { name: 'Here' } }),
      ];
      expect(changes.map(({ status, text }) => [status, text])).toEqual(Array(4).fill([204, '']));
      const { body, headers } = await own.call('GET', `${own.at}/objects/o`);
      expect(changes[1]?.headers.get('ETag')).toBe(headers.get('ETag'));
      const made = await call('PUT', `${own.at}/objects/new`, { json: { name: 'mine' } });
      expect([made.status, made.body.name, body.seq < made.body.seq]).toEqual([201, 'mine', true]);
    });

    it.each([
      ['no credential', undefined],
      ['a credential of another kind', 'Basic dXNlcjpwYXNz'],
      ['an empty credential', 'Bearer '],
      ['one that is no key', 'Bearer nonsense'],
      ['one with a space in it', 'Bearer wk_a b'],
      ['a key that nobody gave out', `Bearer wk_nobody_${'A'.repeat(43)}`],
    ])('401 for %s', async (_, header) => {
      const call = createCall(target(), null);
      const { status, body, headers } = await call('GET', '/v1/spaces', {
        headers: header === undefined ? {} : { Authorization: header },
      });
      expect([status, body.code]).toEqual([401, 'unauthorized']);
      expect(headers.get('WWW-Authenticate')).toMatch(/^Bearer realm="worldkeep"/);
    });

    it('401 for a key whose secret is another tenant’s', async () => {
      const own = await door.apiKey(['read']);
      const other = await openDoor(target());
      const moved = own.replace(door.tenantId, other.tenantId);
      expect((await createCall(target(), moved)('GET', '/v1/spaces')).status).toBe(401);
    });

    it('401 for a credential in the query', async () => {
      const key = await door.apiKey(['read']);
      const { status } = await createCall(target(), null)('GET', `/v1/spaces?access_token=${key}`);
      expect(status).toBe(401);
    });
  });
}
