import { beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/world/limits.ts';
import { type Answer, createCall, type Door, openSpace } from '../client.ts';
import type { Target } from '../targets.ts';
import { openSession } from './people.ts';

/** Sends operations to a space. */
export function post(
  { call, at }: Pick<Door, 'call'> & { at: string },
  ops: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return call('POST', `${at}/updates`, { json: { ops }, headers });
}

const WAIT = { Prefer: 'wait' };
const MIB = 1024 * 1024;

export function describeUpdates(target: () => Target): void {
  describe('updates', () => {
    let door: Door & { at: string };
    beforeAll(async () => {
      door = await openSpace(target());
      await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
    });
    const send = (ops: unknown, headers: Record<string, string> = {}) => post(door, ops, headers);
    const get = (id: string) => door.call('GET', `${door.at}/objects/${id}`);
    const statusesOf = ({ body }: Answer) => body.results.map(({ status }: { status: string }) => status);

    it('[F1b] are queued: 202 with their seq', async () => {
      const answer = await send([
        { op: 'put', id: 'a' },
        { op: 'put', id: 'b' },
      ]);
      expect(answer.status).toBe(202);
      expect(answer.body).toEqual({ seq: expect.any(Number), accepted: 2, durability: 'queued' });
      expect(Number.isSafeInteger(answer.body.seq)).toBe(true);
      expect(answer.headers.get('Preference-Applied')).toBeNull();
      const asked = await send([{ op: 'put', id: 'a' }], { Prefer: 'respond-async, wait=5' });
      expect([asked.status, asked.headers.get('Preference-Applied')]).toEqual([202, 'respond-async']);
      expect(asked.body.seq).toBeGreaterThan(answer.body.seq);
    });

    it('[D8] are committed if the caller waits, with the status of each, in order', async () => {
      await send([{ op: 'put', id: 'there', properties: { a: 'x'.repeat(40_000) } }], WAIT);
      const ops = [
        { op: 'put', id: 'new', name: 'New' },
        { op: 'patch', id: 'nobody', name: 'n' },
        { op: 'patch', id: 'there', ifSeq: 1, name: 'lost' },
        { op: 'patch', id: 'there', properties: { b: 'x'.repeat(40_000) } },
        { op: 'patch', id: 'new', position: { x: 1 } },
        { op: 'delete', id: 'nobody' },
        { op: 'user.patch', id: 'ann', position: { x: 1, y: 2, z: 3 } },
        { op: 'user.patch', id: 'nobody' },
        { op: 'delete', id: 'new' },
      ];
      const answer = await send(ops, WAIT);
      expect([answer.status, answer.headers.get('Preference-Applied')]).toEqual([200, 'wait']);
      expect(answer.body).toEqual({
        seq: expect.any(Number),
        durability: 'committed',
        results: [
          { id: 'new', status: 'applied' },
          { id: 'nobody', status: 'unknown_object' },
          { id: 'there', status: 'conflict' },
          { id: 'there', status: 'rejected' },
          { id: 'new', status: 'applied' },
          { id: 'nobody', status: 'unknown_object' },
          { id: 'ann', status: 'applied' },
          { id: 'nobody', status: 'unknown_object' },
          { id: 'new', status: 'applied' },
        ],
      });
      expect((await get('new')).status).toBe(404);
      const { users } = (await door.call('GET', `${door.at}/state`)).body;
      expect(users).toMatchObject([{ id: 'ann', position: { x: 1, y: 2, z: 3 }, seq: answer.body.seq }]);
    });

    it('can be read as soon as they are committed', async () => {
      for (let x = 1; x <= 5; x++) {
        const { body } = await send([{ op: 'put', id: 'read', position: { x, y: 0, z: 0 } }], WAIT);
        expect((await get('read')).body).toMatchObject({ position: { x, y: 0, z: 0 }, seq: body.seq });
      }
    });

    it('put, patch and delete objects like the object routes', async () => {
      const fields = {
        name: 'Lamp',
        modelId: 'lamp.glb',
        parentId: 'table',
        position: { x: 0.1 + 0.2, y: -2.5e-7, z: 1e21 },
        rotation: { x: 0, y: 0.6, z: 0, w: 0.8 },
        scale: { x: 1, y: 2, z: 3 },
        properties: { lit: true, deep: { a: [1, null] } },
      };
      const put = await send([{ op: 'put', id: 'lamp', ...fields }], WAIT);
      expect((await get('lamp')).body).toMatchObject({ id: 'lamp', ...fields, seq: put.body.seq });
      const patch = {
        name: null,
        position: { y: -0 },
        scale: { z: 5e-324 },
        properties: { lit: null, deep: { b: 2 } },
      };
      await send([{ op: 'patch', id: 'lamp', ...patch }], WAIT);
      expect((await get('lamp')).body).toMatchObject({
        name: null,
        modelId: 'lamp.glb',
        position: { ...fields.position, y: 0 },
        scale: { x: 1, y: 2, z: 5e-324 },
        properties: { deep: { a: [1, null], b: 2 } },
      });
      await send([{ op: 'put', id: 'lamp' }], WAIT);
      expect((await get('lamp')).body).toMatchObject({ modelId: null, properties: {} });
      await send([{ op: 'delete', id: 'lamp' }], WAIT);
      expect((await get('lamp')).status).toBe(404);
    });

    it('have their sender as author', async () => {
      const session = await openSession(target(), door, { userId: 'ann', role: 'editor' });
      await post({ call: session.call, at: door.at }, [{ op: 'put', id: 'signed' }], WAIT);
      expect((await get('signed')).body).toMatchObject({ createdBy: 'ann', updatedBy: 'ann' });
      await send([{ op: 'patch', id: 'signed', name: 'n' }], WAIT);
      expect((await get('signed')).body.updatedBy).toMatch(/^key_/);
      const elsewhere = await post({ call: session.call, at: '/v1/spaces/there' }, [
        { op: 'delete', id: 'x' },
      ]);
      expect([elsewhere.status, elsewhere.body.code]).toEqual([403, 'forbidden']);
      await door.call('PUT', '/v1/users/bob', { json: { displayName: 'Bob' } });
      const own = await post({ call: session.call, at: door.at }, [{ op: 'user.patch', id: 'ann' }], WAIT);
      expect(own.body.results).toEqual([{ id: 'ann', status: 'applied' }]);
      const others = await post({ call: session.call, at: door.at }, [
        { op: 'user.patch', id: 'ann' },
        { op: 'user.patch', id: 'bob' },
      ]);
      expect([others.status, others.body.errors[0].path]).toEqual([403, '/ops/1/id']);
      const viewer = await openSession(target(), door, { userId: 'bob', role: 'viewer' });
      const refused = await post({ call: viewer.call, at: door.at }, [{ op: 'delete', id: 'signed' }]);
      expect([refused.status, refused.body.code]).toEqual([403, 'forbidden']);
      const reader = createCall(target(), await door.apiKey(['read']));
      expect((await post({ call: reader, at: door.at }, [{ op: 'delete', id: 'signed' }])).status).toBe(403);
      expect((await get('signed')).status).toBe(200);
    });

    it('[L3c] apply only at the seq that they name: 0 for no object, else the seq before the request', async () => {
      const made = await send([{ op: 'put', id: 'if', ifSeq: 0 }], WAIT);
      expect(statusesOf(made)).toEqual(['applied']);
      expect(statusesOf(await send([{ op: 'put', id: 'if', ifSeq: 0 }], WAIT))).toEqual(['conflict']);
      const { seq } = made.body;
      const both = await send(
        [
          { op: 'patch', id: 'if', ifSeq: seq, name: 'one' },
          { op: 'patch', id: 'if', ifSeq: seq, position: { x: 1 } },
        ],
        WAIT,
      );
      expect(statusesOf(both)).toEqual(['applied', 'applied']);
      expect((await get('if')).body).toMatchObject({ name: 'one', position: { x: 1 }, seq: both.body.seq });
      expect(statusesOf(await send([{ op: 'delete', id: 'if', ifSeq: seq }], WAIT))).toEqual(['conflict']);
      const listed = (...seqs: number[]) => send([{ op: 'patch', id: 'if', ifSeq: seqs }], WAIT);
      expect(statusesOf(await listed(0, seq))).toEqual(['conflict']);
      const third = await listed(seq, both.body.seq);
      expect(statusesOf(third)).toEqual(['applied']);
      expect(statusesOf(await send([{ op: 'delete', id: 'if', ifSeq: third.body.seq }], WAIT))).toEqual([
        'applied',
      ]);
      expect(statusesOf(await send([{ op: 'delete', id: 'if', ifSeq: 0 }], WAIT))).toEqual([
        'unknown_object',
      ]);
    });

    it('of one object with the same condition race, and one of them wins', async () => {
      const { body } = await send([{ op: 'put', id: 'race' }], WAIT);
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          send([{ op: 'patch', id: 'race', ifSeq: body.seq, name: `n${i}` }], WAIT),
        ),
      );
      const won = answers.filter((answer) => statusesOf(answer)[0] === 'applied');
      expect(won).toHaveLength(1);
      expect(answers.filter((answer) => statusesOf(answer)[0] === 'conflict')).toHaveLength(7);
      expect((await get('race')).body.seq).toBe(won[0]?.body.seq);
    });

    it('are applied in the order in which they are sent', async () => {
      const seqs: number[] = [];
      for (let x = 1; x <= 10; x++) {
        const op = x === 1 ? 'put' : 'patch';
        const { body } = await send([{ op, id: 'order', position: { x, y: 0, z: 0 } }]);
        seqs.push(body.seq);
      }
      expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
      // Its commit includes all earlier operations.
      await send([{ op: 'patch', id: 'order', name: 'last' }], WAIT);
      expect((await get('order')).body).toMatchObject({ name: 'last', position: { x: 10 } });
    });

    it('may be at most a thousand per request', async () => {
      const own = await openSpace(target());
      const make = (length: number) => Array.from({ length }, (_, i) => ({ op: 'put', id: `o-${i}` }));
      const most = await post(own, make(LIMITS.opsPerRequestMax), WAIT);
      expect([most.status, most.body.results.length, new Set(statusesOf(most))]).toEqual([
        200,
        1_000,
        new Set(['applied']),
      ]);
      const { status, body } = await post(own, make(LIMITS.opsPerRequestMax + 1));
      expect([status, body.code, body.errors[0].path]).toEqual([422, 'validation_failed', '/ops']);
      expect(body.errors[0].message).toBe('must contain 1 to 1000 operations, not 1001');
      expect((await own.call('GET', '/health')).body.worldState.objects).toBe(1_000);
    });

    it('[L6] that are too large for one entry become several entries, and the answer has one seq', async () => {
      const text = 'x'.repeat(60_000);
      const ops = Array.from({ length: 16 }, (_, i) => ({ op: 'put', id: `big-${i}`, properties: { text } }));
      const answer = await send(ops, WAIT);
      expect([answer.status, statusesOf(answer)]).toEqual([200, Array(16).fill('applied')]);
      expect((await get('big-15')).body.seq).toBe(answer.body.seq);
      expect((await get('big-0')).body.seq).toBeLessThan(answer.body.seq);
    });

    it('above 1 MiB are refused, naming the limit and the size', async () => {
      const text = JSON.stringify({ ops: [{ op: 'put', id: 'x' }], pad: 'x'.repeat(MIB) });
      const { status, body } = await door.call('POST', `${door.at}/updates`, { text });
      expect([status, body.code]).toEqual([413, 'body_too_large']);
      expect(body.detail).toContain(String(MIB));
      expect(body.detail).toContain(String(text.length));
    });

    const NESTED = `${'{"a":'.repeat(LIMITS.propertiesDepthMax)}{}${'}'.repeat(LIMITS.propertiesDepthMax)}`;
    it.each<[what: string, text: string, path: string, code?: string]>([
      ['no operation', '{"ops":[]}', '/ops'],
      ['no list', '{}', '/ops'],
      ['an object for a list', '{"ops":{}}', '/ops'],
      ['a list alone', '[{"op":"put","id":"no"}]', ''],
      ['null', 'null', ''],
      ['another member', '{"ops":[{"op":"put","id":"no"}],"actor":"me"}', '/actor'],
      ['an operation that is none', '{"ops":[{"op":"put","id":"no"},7]}', '/ops/1'],
      ['an unknown operation', '{"ops":[{"op":"shift","id":"no"}]}', '/ops/0/op'],
      ['an operation of the log’s own', '{"ops":[{"op":"stage","id":"no","mode":"replace"}]}', '/ops/0/op'],
      ['no op', '{"ops":[{"id":"no"}]}', '/ops/0/op'],
      ['an unknown member', '{"ops":[{"op":"put","id":"no","colour":"red"}]}', '/ops/0/colour'],
      ['what only the routes may ask', '{"ops":[{"op":"put","id":"no","ifExists":true}]}', '/ops/0/ifExists'],
      ['fields of a deletion', '{"ops":[{"op":"delete","id":"no","name":"n"}]}', '/ops/0/name'],
      ['a condition on a person', '{"ops":[{"op":"user.patch","id":"no","ifSeq":0}]}', '/ops/0/ifSeq'],
      ['no id', '{"ops":[{"op":"put"}]}', '/ops/0/id'],
      ['an id with a slash', '{"ops":[{"op":"put","id":"no"},{"op":"put","id":"a/b"}]}', '/ops/1/id'],
      ['an id of 129 characters', `{"ops":[{"op":"put","id":"${'x'.repeat(129)}"}]}`, '/ops/0/id'],
      [
        'a number that no double holds',
        `{"ops":[${'{"op":"put","id":"no"},'.repeat(3)}{"op":"patch","id":"no","position":{"x":1e400}}]}`,
        '/ops/3/position/x',
      ],
      ['a number as text', '{"ops":[{"op":"patch","id":"no","scale":{"y":"NaN"}}]}', '/ops/0/scale/y'],
      ['null for a number', '{"ops":[{"op":"patch","id":"no","scale":{"z":null}}]}', '/ops/0/scale/z'],
      ['half a position', '{"ops":[{"op":"put","id":"no","position":{"x":1,"y":2}}]}', '/ops/0/position/z'],
      ['half a rotation', '{"ops":[{"op":"patch","id":"no","rotation":{"x":1}}]}', '/ops/0/rotation/y'],
      [
        'a rotation of length zero',
        '{"ops":[{"op":"patch","id":"no","rotation":{"x":0,"y":0,"z":0,"w":0}}]}',
        '/ops/0/rotation',
      ],
      ['a seq below 0', '{"ops":[{"op":"put","id":"no","ifSeq":-1}]}', '/ops/0/ifSeq'],
      ['a seq with a fraction', '{"ops":[{"op":"put","id":"no","ifSeq":1.5}]}', '/ops/0/ifSeq'],
      ['an empty list of seqs', '{"ops":[{"op":"put","id":"no","ifSeq":[]}]}', '/ops/0/ifSeq'],
      ['a list of more than seqs', '{"ops":[{"op":"put","id":"no","ifSeq":[1,"1"]}]}', '/ops/0/ifSeq'],
      ['a seq as text', '{"ops":[{"op":"put","id":"no","ifSeq":"1"}]}', '/ops/0/ifSeq'],
      ['a seq that is not safe', '{"ops":[{"op":"put","id":"no","ifSeq":9007199254740993}]}', '/ops/0/ifSeq'],
      ['NUL in a name', '{"ops":[{"op":"put","id":"no","name":"a\\u0000"}]}', '/ops/0/name'],
      [
        'half of a surrogate pair',
        '{"ops":[{"op":"put","id":"no","properties":{"a":["\\ud800"]}}]}',
        '/ops/0/properties/a/0',
      ],
      [
        'properties nested too deep',
        `{"ops":[{"op":"put","id":"no","properties":${NESTED}}]}`,
        '/ops/0/properties',
      ],
      [
        'properties of 65 KiB',
        `{"ops":[{"op":"put","id":"no","properties":{"a":"${'x'.repeat(65 * 1024)}"}}]}`,
        '/ops/0/properties',
        'properties_too_large',
      ],
    ])('with %s are refused whole', async (_, text, path, code = 'validation_failed') => {
      const { status, body } = await door.call('POST', `${door.at}/updates`, { text });
      expect([status, body.code, body.errors[0]?.path]).toEqual([422, code, path]);
      expect((await get('no')).status).toBe(404);
    });

    it.each(['', '{', '{"ops":[{"op":"put","id":"no","position":{"x":NaN}}]}', '{"ops":[]}}', '\xff'])(
      'that are not JSON are refused: %j',
      async (text) => {
        const { status, body } = await door.call('POST', `${door.at}/updates`, { text });
        expect([status, body.code]).toEqual([422, 'malformed_json']);
      },
    );

    it('are refused with another media type, with a query, and with another method', async () => {
      const path = `${door.at}/updates`;
      const json = { ops: [{ op: 'put', id: 'no' }] };
      const typed = await door.call('POST', path, { json, headers: { 'Content-Type': 'text/plain' } });
      expect([typed.status, typed.body.code]).toEqual([415, 'unsupported_media_type']);
      const asked = await door.call('POST', `${path}?wait=1`, { json });
      expect([asked.status, asked.body.errors[0]?.path]).toEqual([422, '/wait']);
      const put = await door.call('PUT', path, { json });
      expect([put.status, put.headers.get('Allow')]).toEqual([405, 'POST']);
      expect((await get('no')).status).toBe(404);
    });

    it('are deleted with their space: a space created again begins empty, and accepts new ones', async () => {
      const own = await openSpace(target(), 'short');
      const put = [{ op: 'put', id: 'o', name: 'old' }];
      const first = await post(own, put);
      expect((await own.call('DELETE', own.at)).status).toBe(204);
      for (const headers of [{}, WAIT])
        expect([(await post(own, put, headers)).status, headers]).toEqual([404, headers]);
      await own.call('PUT', own.at, { json: { name: 'Again' } });
      const made = await post(own, [{ op: 'put', id: 'fresh' }], WAIT);
      expect([made.status, statusesOf(made)]).toEqual([200, ['applied']]);
      expect(made.body.seq).toBeGreaterThan(first.body.seq);
      const { objects } = (await own.call('GET', `${own.at}/state`)).body;
      expect(objects.map(({ id }: { id: string }) => id)).toEqual(['fresh']);
    });
  });
}
