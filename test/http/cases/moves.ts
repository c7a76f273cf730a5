import { beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Door, openSpace } from '../client.ts';
import { openEvents } from '../events.ts';
import type { Target } from '../targets.ts';
import { openSession } from './people.ts';
import { post } from './updates.ts';

const WAIT = { Prefer: 'wait' };
const statusesOf = ({ body }: Answer) => body.results.map(({ status }: { status: string }) => status);

/** Operations on many objects, in columns. */
export function describeMoves(target: () => Target): void {
  describe('moves', () => {
    let door: Door & { at: string };
    beforeAll(async () => {
      door = await openSpace(target());
      for (const id of ['ann', 'bob'])
        await door.call('PUT', `/v1/users/${id}`, { json: { displayName: id } });
    });
    const readState = async () => (await door.call('GET', `${door.at}/state`)).body;
    const move = {
      op: 'move',
      ids: ['m1', 'nobody', 'm2', 'm1'],
      position: [1, 2, 3, 0, 0, 0, 4, 5, 6, 7, 8, 9],
      scale: [1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3],
    };

    it('[L3f] of many objects equal a patch of each, in order, with a result for each element', async () => {
      await post(door, [
        { op: 'put', id: 'm1', name: 'kept' },
        { op: 'put', id: 'm2' },
      ]);
      const answer = await post(door, [move], WAIT);
      expect(statusesOf(answer)).toEqual(['applied', 'unknown_object', 'applied', 'applied']);
      expect(answer.body.results.map(({ id }: { id: string }) => id)).toEqual(move.ids);
      const { objects } = await readState();
      expect(objects.filter(({ id }: { id: string }) => id.startsWith('m'))).toMatchObject([
        {
          id: 'm1',
          name: 'kept',
          position: { x: 7, y: 8, z: 9 },
          scale: { x: 3, y: 3, z: 3 },
          seq: answer.body.seq,
        },
        { id: 'm2', position: { x: 4, y: 5, z: 6 }, rotation: { x: 0, y: 0, z: 0, w: 1 } },
      ]);
      const stored = await door.call('GET', `${door.at}/objects/m1`);
      expect(stored.body).toMatchObject({ position: { x: 7, y: 8, z: 9 }, seq: answer.body.seq });
      const queued = await post(door, [move]);
      expect([queued.status, queued.body.accepted]).toEqual([202, 4]);
    });

    it('[R1] stay in columns on streams, and are patches for readers that ask for operations', async () => {
      const own = await openSpace(target(), 'followed');
      const credential = await own.apiKey(['read', 'write']);
      const first = (await post(own, [{ op: 'put', id: 'm1' }], WAIT)).body.seq;
      const [columns, patches] = await Promise.all(
        ['', '?expand=operations'].map((query) => openEvents(target(), own.at, { credential, query })),
      );
      // The printed move has its members in a fixed order, not in the order of the request.
      const sent = { position: [1, 2, 3, 4, 5, 6], ids: ['m1', 'm2'], op: 'move' };
      const { seq } = (await post(own, [sent, { op: 'delete', id: 'm3' }])).body;
      const gone = { op: 'delete', id: 'm3' };
      const asPatches = [
        { op: 'patch', id: 'm1', position: { x: 1, y: 2, z: 3 } },
        { op: 'patch', id: 'm2', position: { x: 4, y: 5, z: 6 } },
        gone,
      ];
      const opsOf = (client: typeof columns) =>
        client?.events.map(({ data }) => JSON.parse(data)).map(({ prev, ops }) => ({ prev, ops }));
      await expect.poll(() => opsOf(columns)).toEqual([{ prev: first, ops: [sent, gone] }]);
      await expect.poll(() => opsOf(patches)).toEqual([{ prev: first, ops: asPatches }]);
      await Promise.all([columns?.leave(), patches?.leave()]);
      const changes = (query: string) => own.call('GET', `${own.at}/changes?since=${first}${query}`);
      expect((await changes('')).body.changes).toMatchObject([{ seq, ops: [sent, gone] }]);
      expect((await changes('&expand=operations')).body.changes).toMatchObject([{ seq, ops: asPatches }]);
      for (const path of ['changes', 'stream'])
        expect((await own.call('GET', `${own.at}/${path}?expand=all`)).body).toMatchObject({
          code: 'validation_failed',
          errors: [{ path: '/expand', message: 'must be "operations"' }],
        });
    });

    it('[T3e] of avatars: a session moves only its own', async () => {
      const all = { op: 'user.move', ids: ['ann', 'bob', 'nobody'], position: [1, 1, 1, 2, 2, 2, 3, 3, 3] };
      expect(statusesOf(await post(door, [all], WAIT))).toEqual(['applied', 'applied', 'unknown_object']);
      const { call } = await openSession(target(), door, { userId: 'ann', role: 'editor' });
      const own = { op: 'user.move', ids: ['ann', 'ann'], position: [0, 0, 0, 5, 5, 5] };
      expect((await post({ call, at: door.at }, [own], WAIT)).status).toBe(200);
      const others = { ...own, ids: ['ann', 'bob'] };
      const refused = await post({ call, at: door.at }, [{ op: 'put', id: 'm9' }, others], WAIT);
      expect([refused.status, refused.body.errors[0]?.path]).toEqual([403, '/ops/1/ids/1']);
      const { users } = await readState();
      expect(users).toMatchObject([
        { id: 'ann', position: { x: 5, y: 5, z: 5 } },
        { id: 'bob', position: { x: 2, y: 2, z: 2 } },
      ]);
    });

    it.each([
      ['a column that is too short', '{"op":"move","ids":["a","b"],"position":[1,2,3]}', '/ops/0/position'],
      [
        'a number that no double holds',
        '{"op":"move","ids":["a"],"position":[0,1e400,0]}',
        '/ops/0/position/1',
      ],
      ['a text for a number', '{"op":"move","ids":["a"],"position":["0",0,0]}', '/ops/0/position/0'],
      ['vectors for numbers', '{"op":"move","ids":["a"],"position":[{"x":1},0,0]}', '/ops/0/position/0'],
      ['no column', '{"op":"move","ids":["a"]}', '/ops/0'],
      ['no ids', '{"op":"move","ids":[],"position":[]}', '/ops/0/ids'],
      ['a list for an id', '{"op":"move","ids":[["a"]],"position":[1,2,3]}', '/ops/0/ids/0'],
      ['a condition', '{"op":"move","ids":["a"],"position":[1,2,3],"ifSeq":1}', '/ops/0/ifSeq'],
      [
        'a scale of people',
        '{"op":"user.move","ids":["a"],"position":[1,2,3],"scale":[1,1,1]}',
        '/ops/0/scale',
      ],
      ['a rotation of zero', '{"op":"move","ids":["a"],"rotation":[0,0,0,0]}', '/ops/0/rotation/0'],
      [
        'more elements than a request may have',
        `{"op":"move","ids":[${'"a",'.repeat(1_000)}"a"],"position":[${'1,'.repeat(3_002)}1]}`,
        '/ops',
      ],
    ])('with %s are refused whole', async (_, op, path) => {
      const { status, body } = await door.call('POST', `${door.at}/updates`, { text: `{"ops":[${op}]}` });
      expect([status, body.code, body.errors[0]?.path]).toEqual([422, 'validation_failed', path]);
    });

    it('use the last value of a member that is given twice, as in all JSON', async () => {
      const text = '{"ops":[{"op":"move","ids":["m1"],"ids":["m2"],"position":[9,9,9],"position":[-0,1,2]}]}';
      const { body } = await door.call('POST', `${door.at}/updates`, { text, headers: WAIT });
      expect(body.results).toEqual([{ id: 'm2', status: 'applied' }]);
      const { text: changes } = await door.call('GET', `${door.at}/changes?since=${body.seq - 1}`);
      expect(changes).toContain('{"op":"move","ids":["m2"],"position":[0,1,2]}');
    });
  });
}
