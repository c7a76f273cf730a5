import { beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type CallOptions, type Door, openDoor } from '../client.ts';
import type { Target } from '../targets.ts';

/** All requests for one space, for one object in it, and for a key. */
const REQUESTS: [method: string, path: string, json?: unknown][] = [
  ['GET', '/v1/spaces/secret'],
  ['DELETE', '/v1/spaces/secret'],
  ['GET', '/v1/spaces/secret/state'],
  ['PUT', '/v1/spaces/secret/state', { objects: [] }],
  ['PUT', '/v1/spaces/secret/state?mode=merge', { objects: [{ id: 'o' }] }],
  ['GET', '/v1/spaces/secret/statistics'],
  ['GET', '/v1/spaces/secret/presence'],
  ['GET', '/v1/spaces/secret/objects'],
  ['GET', '/v1/spaces/secret/objects/o'],
  ['PUT', '/v1/spaces/secret/objects/o', { name: 'stolen' }],
  ['PATCH', '/v1/spaces/secret/objects/o', { name: 'stolen' }],
  ['DELETE', '/v1/spaces/secret/objects/o'],
  ['GET', '/v1/spaces/secret/changes'],
  ['GET', '/v1/spaces/secret/chat'],
  ['POST', '/v1/spaces/secret/chat', { text: 'stolen' }],
  ['POST', '/v1/sessions', { userId: 'nobody', spaceId: 'secret' }],
  ['POST', '/v1/spaces/secret/updates', { ops: [{ op: 'put', id: 'o', name: 'stolen' }] }],
];

export function describeTenancy(target: () => Target): void {
  describe('tenants', () => {
    let owner: Door;
    let stranger: Door;
    beforeAll(async () => {
      [owner, stranger] = [await openDoor(target()), await openDoor(target())];
    });

    const ask = (
      door: Door,
      [method, path, json]: (typeof REQUESTS)[number],
      headers = {},
    ): Promise<Answer> => {
      const options: CallOptions = { headers: { 'X-Request-Id': 'same', ...headers } };
      return door.call(method, path, json === undefined ? options : { ...options, json });
    };
    // These headers count or name the stranger's own requests.
    const OWN = ['date', 'connection', 'keep-alive', 'ratelimit', 'traceresponse'];
    const bytesOf = ({ status, headers, text }: Answer) => ({
      status,
      text,
      headers: [...headers].filter(([name]) => !OWN.includes(name)),
    });

    it('get 404 for things of another tenant, byte for byte as for things that do not exist', async () => {
      const before = [];
      for (const request of REQUESTS) before.push(bytesOf(await ask(stranger, request)));
      const conditions = { 'If-None-Match': '*' };
      const waiting = ['POST', '/v1/spaces/secret/updates', { ops: [{ op: 'delete', id: 'o' }] }] as const;
      const wish = { Prefer: 'wait', 'Idempotency-Key': 'same' };
      before.push(bytesOf(await ask(stranger, ['GET', '/v1/spaces/secret/state'], conditions)));
      before.push(bytesOf(await ask(stranger, [...waiting], wish)));
      for (const answer of before) expect(answer.status).toBe(404);

      await owner.call('PUT', '/v1/spaces/secret', { json: { name: 'Secret' } });
      await owner.call('PUT', '/v1/spaces/secret/objects/o', { json: { name: 'mine' } });
      const state = await owner.call('GET', '/v1/spaces/secret/state');

      const after = [];
      for (const request of REQUESTS) after.push(bytesOf(await ask(stranger, request)));
      after.push(bytesOf(await ask(stranger, ['GET', '/v1/spaces/secret/state'], conditions)));
      after.push(bytesOf(await ask(stranger, [...waiting], wish)));
      expect(after).toEqual(before);
      expect((await owner.call('GET', '/v1/spaces/secret/state')).text).toBe(state.text);
    });

    it.each<[method: string, path: string, missing: string, options?: CallOptions]>([
      ['GET', '/v1/spaces/nowhere', 'this space'],
      ['PUT', '/v1/spaces/nowhere/objects/o', 'this space', { json: {} }],
      ['POST', '/v1/spaces/nowhere/updates', 'this space', { json: { ops: [{ op: 'delete', id: 'o' }] } }],
      ['GET', '/v1/spaces/nowhere/state', 'this space'],
      ['GET', '/v1/spaces/nowhere/changes', 'this space'],
      ['GET', '/v1/spaces/nowhere/chat', 'this space'],
      ['GET', '/v1/spaces/nowhere/objects/o', 'this object in this space'],
      ['GET', '/v1/spaces/here/objects/nothing', 'this object in this space'],
      ['DELETE', '/v1/spaces/here/objects/nothing', 'this object in this space'],
      ['DELETE', '/v1/spaces/here/chat/nothing', 'this message in this space'],
      ['GET', '/v1/users/nobody', 'this person'],
      ['DELETE', '/v1/users/nobody', 'this person'],
      ['POST', '/v1/sessions/nothing/heartbeat', 'an open session with this id'],
      ['DELETE', '/v1/sessions/nothing', 'this session'],
      ['DELETE', '/v1/keys/nothing', 'this API key'],
      ['DELETE', '/v1/dead-letters/nothing', 'this dead letter'],
      ['POST', '/v1/dead-letters/nothing/replay', 'this dead letter'],
      ['GET', '/v1/models/nothing/file', 'this model'],
      ['DELETE', '/v1/media/nothing', 'this media file'],
      ['GET', '/v1/media/uploads/nothing', 'an open upload with this id'],
    ])('[T1d] %s %s names the kind of thing that is missing', async (method, path, missing, options) => {
      await owner.call('PUT', '/v1/spaces/here', { json: { name: 'Here' } });
      const { status, body } = await owner.call(method, path, options);
      expect([status, body.code, body.detail]).toEqual([
        404,
        'not_found',
        `Worldkeep cannot find ${missing}.`,
      ]);
    });

    it('can use the same names, and see only their own things under them', async () => {
      for (const [door, name] of [
        [owner, 'owner'],
        [stranger, 'stranger'],
      ] as const) {
        await door.call('PUT', '/v1/spaces/common', { json: { name } });
        await door.call('PUT', '/v1/spaces/common/objects/o', { json: { name } });
      }
      const read = async (door: Door) => (await door.call('GET', '/v1/spaces/common/objects/o')).body.name;
      expect([await read(owner), await read(stranger)]).toEqual(['owner', 'stranger']);
      const listed = (await stranger.call('GET', '/v1/spaces')).body.items;
      expect(listed.map(({ id }: { id: string }) => id)).toEqual(['common']);
    });

    it('cannot see or revoke each other’s keys', async () => {
      const { body: key } = await owner.call('POST', '/v1/keys', { json: { scopes: ['read'] } });
      const refused = await stranger.call('DELETE', `/v1/keys/${key.id}`);
      expect([refused.status, refused.body.code]).toEqual([404, 'not_found']);
      expect((await stranger.call('GET', '/v1/keys?limit=1000')).text).not.toContain(key.id);
      const listed = (await owner.call('GET', '/v1/keys?limit=1000')).body.items;
      expect(listed.find(({ id }: { id: string }) => id === key.id).revokedAt).toBeNull();
    });
  });
}
