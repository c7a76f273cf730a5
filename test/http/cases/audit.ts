import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTenant } from '../../tenants.ts';
import { createCall, type Door, openDoor, openSpace, waitUntilReady } from '../client.ts';
import type { FragileStores, Runtime } from '../runtimes.ts';
import type { Target } from '../targets.ts';
import { makeDeadLetter } from './dead-letters.ts';
import { openSession } from './people.ts';

interface Entry {
  action: string;
  objectId: string;
  actor: string | null;
  requestId: string | null;
  old: Record<string, unknown> | null;
  new: Record<string, unknown> | null;
}

const named = (id: string) => ({ headers: { 'X-Request-Id': id } });
const PATHS = ['space', 'actor', 'table', 'object', 'from', 'to'];

/** Entries in their order, when there are so many. */
async function waitForAudit({ call }: Pick<Door, 'call'>, query: string, count: number): Promise<Entry[]> {
  let entries: Entry[] = [];
  await expect
    .poll(
      async () => {
        entries = (await call('GET', `/v1/audit?${query}`)).body.items.toReversed();
        return entries.length;
      },
      { timeout: 20_000 },
    )
    .toBe(count);
  return entries;
}

const summarise = (entries: readonly Entry[]) =>
  entries.map(({ action, objectId, actor, requestId }) => [action, objectId, actor, requestId]);

/** The cases that every runtime has. */
export function describeAudit({ start, makeEnv, withoutRedis, openFragileStores }: Runtime): void {
  describe('[T4] the audit', () => {
    let target: Target;
    let door: Door & { at: string };
    beforeAll(async () => {
      target = await start(makeEnv());
      door = await openSpace(target);
      await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
    });
    afterAll(() => target?.stop());

    it('[T4e] names the key or the person, and the request, of changes outside of a log', async () => {
      const { body: key } = await door.call('POST', '/v1/keys', { json: { scopes: ['read', 'write'] } });
      const call = createCall(target, key.secret);
      await call('PUT', '/v1/users/bob', { json: { displayName: 'Bob' }, ...named('made-bob') });
      const session = await openSession(target, door, { userId: 'bob' });
      await session.call('PUT', '/v1/users/bob', { json: { displayName: 'Bobby' }, ...named('renamed-bob') });
      const { headers } = await call('PUT', '/v1/users/bob', { json: { displayName: 'Bob' } });
      const entries = await waitForAudit(door, 'table=users&object=bob', 3);
      expect(summarise(entries)).toEqual([
        ['insert', 'bob', key.id, 'made-bob'],
        ['update', 'bob', 'bob', 'renamed-bob'],
        ['update', 'bob', key.id, headers.get('X-Request-Id')],
      ]);
      expect(entries[1]).toMatchObject({
        ...{ table: 'users', spaceId: null, userId: 'bob', isErased: false },
        ...{ old: { display_name: 'Bob' }, new: { display_name: 'Bobby' } },
      });
    });

    it('[T4e] names them for queued updates and for answers that wait', async () => {
      const session = await openSession(target, door, { userId: 'ann', role: 'editor' });
      const post = async (ops: object[], id: string, headers = {}) => {
        const own = { 'X-Request-Id': id, ...headers };
        const { status, text } = await session.call('POST', `${door.at}/updates`, {
          ...{ json: { ops }, headers: own },
        });
        expect([status, text]).toEqual([status === 200 ? 200 : 202, text]);
      };
      await post([{ op: 'put', id: 'lamp' }], 'queued-1');
      await waitForAudit(door, 'space=here&object=lamp', 1);
      await post([{ op: 'patch', id: 'lamp', name: 'Lamp' }], 'waited-1', { Prefer: 'wait' });
      await post([{ op: 'patch', id: 'lamp', position: { x: 1 } }], 'moved-1');
      await session.call('DELETE', `${door.at}/objects/lamp`, named('deleted-1'));
      expect(summarise(await waitForAudit(door, 'space=here&object=lamp', 3))).toEqual([
        ['insert', 'lamp', 'ann', 'queued-1'],
        ['update', 'lamp', 'ann', 'waited-1'],
        ['delete', 'lamp', 'ann', 'deleted-1'],
      ]);
      await door.call('PUT', `${door.at}/state`, { json: { objects: [] }, ...named('saved-1') });
      const [created, replaced] = await waitForAudit(door, 'table=spaces&object=here', 2);
      expect(created).toMatchObject({ action: 'insert' });
      expect(replaced).toMatchObject({
        action: 'replace',
        requestId: 'saved-1',
        actor: expect.stringMatching(/^key_/),
      });
    });

    it('[T4e] names who replays and deletes a dead letter, and the author of the operation', async () => {
      const own = await openSpace(target);
      const id = await makeDeadLetter(own, own.at, 'full');
      await own.call('POST', `/v1/dead-letters/${id}/replay`, named('replayed'));
      await own.call('DELETE', `/v1/dead-letters/${id}`, named('discarded'));
      const entries = await waitForAudit(own, `object=${id}`, 2);
      expect(entries).toMatchObject([
        { action: 'update', requestId: 'replayed', new: { replayed_at: expect.any(String) } },
        { action: 'delete', requestId: 'discarded', old: { kind: 'object', target_id: 'full' } },
      ]);
    });

    it('[T4c] never has the text of a message or a secret', async () => {
      const own = await openSpace(target);
      const { body: key } = await own.call('POST', '/v1/keys', { json: { scopes: ['read'] } });
      const { body: message } = await own.call('POST', `${own.at}/chat`, {
        json: { text: 'whispered words' },
      });
      await own.call('DELETE', `${own.at}/chat/${message.id}`, named('unsaid'));
      const entries = await waitForAudit(own, 'table=chat_messages', 2);
      expect(entries[1]).toMatchObject({ action: 'delete', objectId: message.id, requestId: 'unsaid' });
      const { text } = await own.call('GET', '/v1/audit', { headers: { Accept: 'application/x-ndjson' } });
      expect(text).toContain(key.id);
      for (const secret of ['whispered', key.secret, key.secret.slice(-43)])
        expect(text).not.toContain(secret);
    });

    it('[T4f] is listed page by page and as lines, for its tenant only', async () => {
      const own = await openSpace(target);
      for (let i = 0; i < 4; i++)
        await own.call('PUT', `/v1/users/u${i}`, { json: { displayName: `U${i}` } });
      const seen: string[] = [];
      let cursor: string | null = '';
      while (cursor !== null) {
        const { body } = await own.call('GET', `/v1/audit?limit=2&table=users&cursor=${cursor}`);
        seen.push(...body.items.map(({ objectId }: Entry) => objectId));
        cursor = body.nextCursor;
      }
      expect(seen).toEqual(['u3', 'u2', 'u1', 'u0']);
      const answer = await own.call('GET', '/v1/audit?table=users', {
        headers: { Accept: 'application/x-ndjson' },
      });
      expect(answer.headers.get('Content-Type')).toBe('application/x-ndjson');
      expect(answer.headers.get('Vary')).toContain('Accept');
      const lines = answer.text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(lines.map(({ kind, objectId }) => [kind, objectId])).toEqual([
        ...seen.map((id) => ['entry', id]),
        ['end', undefined],
      ]);
      expect(lines.at(-1)).toEqual({ kind: 'end', entries: 4 });
      const stranger = await openDoor(target);
      expect((await stranger.call('GET', '/v1/audit?table=users')).body.items).toEqual([]);
    });

    it('refuses what it does not know, with the name of the parameter', async () => {
      const paths = async (query: string, headers = {}) => {
        const { status, body } = await door.call('GET', `/v1/audit?${query}`, { headers });
        return [status, ...(body.errors ?? []).map(({ path }: { path: string }) => path)];
      };
      const bad = 'space=a%2Fb&actor=%21&table=events&object=..&from=yesterday&to=2026-02-30';
      expect(await paths(bad)).toEqual([422, ...PATHS.map((name) => `/${name}`)]);
      expect(await paths('from=2026-11-28&to=2026-11-27')).toEqual([422, '/from']);
      for (const name of ['limit=0', 'cursor=eA', 'cursor=djE6YQ', 'user=ann'])
        expect(await paths(name)).toEqual([422, `/${name.split('=')[0]}`]);
      const lines = { Accept: 'application/x-ndjson' };
      expect(await paths('limit=5', lines)).toEqual([422, '/limit']);
    });

    it('[T4e] names them without a Redis too', async () => {
      const direct = await start(makeEnv(withoutRedis));
      try {
        const own = await openSpace(direct);
        const ops = [
          { op: 'put', id: 'a' },
          { op: 'put', id: 'b' },
        ];
        await own.call('POST', `${own.at}/updates`, { json: { ops }, ...named('direct') });
        await own.call('PUT', `${own.at}/state`, { json: { objects: [] }, ...named('saved') });
        const entries = await waitForAudit(own, 'space=here', 4);
        const key = expect.stringMatching(/^key_/);
        expect(summarise(entries).slice(1).toSorted()).toEqual([
          ['insert', 'a', key, 'direct'],
          ['insert', 'b', key, 'direct'],
          ['replace', 'here', key, 'saved'],
        ]);
      } finally {
        await direct.stop();
      }
    });

    it('[T4b] has moves with AUDIT_TRANSFORMS', async () => {
      const moving = await start(makeEnv({ AUDIT_TRANSFORMS: 'true' }));
      try {
        const own = await openSpace(moving);
        await own.call('PUT', `${own.at}/objects/o`, { json: {} });
        const ops = [{ op: 'move', ids: ['o'], position: [1, 2, 3] }];
        await own.call('POST', `${own.at}/updates`, { json: { ops }, ...named('moved') });
        const [, moved] = await waitForAudit(own, 'object=o', 2);
        expect(moved).toMatchObject({
          ...{ action: 'update', requestId: 'moved', old: { position_x: 0, position_y: 0, position_z: 0 } },
          new: { position_x: 1, position_y: 2, position_z: 3 },
        });
      } finally {
        await moving.stop();
      }
    });

    describe('after an outage of Redis', () => {
      let stores: FragileStores;
      let fragile: Target;
      beforeAll(async () => {
        stores = await openFragileStores();
        fragile = await start(
          makeEnv({ ...stores.env, API_KEY_CACHE_SECONDS: '300', REDIS_TIMEOUT_MS: '1000' }),
        );
      });
      afterAll(async () => {
        await fragile?.stop();
        await stores?.close();
      });

      it('[T4e] names the author and the request of spilled writes', async () => {
        const tenant = await makeTenant();
        const call = createCall(fragile, await tenant.apiKey(['read', 'write', 'admin']));
        await call('PUT', '/v1/spaces/here', { json: { name: 'Here' } });
        stores.redis.inject('refuse');
        const ops = [{ op: 'put', id: 'spilt', name: 'x' }];
        const answer = await call('POST', '/v1/spaces/here/updates', { json: { ops }, ...named('spilt-1') });
        expect(answer.body.durability).toBe('spilled');
        stores.redis.clear();
        await waitUntilReady(fragile);
        const [entry] = await waitForAudit({ call }, 'object=spilt', 1);
        expect(entry).toMatchObject({ requestId: 'spilt-1', actor: expect.stringMatching(/^key_/) });
      });
    });
  });
}
