import { beforeAll, describe, expect, it } from 'vitest';
import { type Answer, createCall, type Door, openSpace } from '../client.ts';
import type { Target } from '../targets.ts';
import { openSession } from './people.ts';
import { post } from './updates.ts';

const HOUR_MS = 3_600_000;
let count = 0;

/** A key with the time of its creation. */
function makeUuidV7(atMs: number): string {
  const time = atMs.toString(16).padStart(12, '0');
  const end = String(++count).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${end}`;
}

export function describeIdempotency(target: () => Target): void {
  describe('[L4] an Idempotency-Key', () => {
    let door: Door & { at: string };
    beforeAll(async () => {
      door = await openSpace(target());
    });
    const send = (key: string, ops: unknown, headers: Record<string, string> = {}, from: Door = door) =>
      post({ call: from.call, at: door.at }, ops, { 'Idempotency-Key': key, ...headers });
    const get = async (id: string) => (await door.call('GET', `${door.at}/objects/${id}`)).body;
    const put = (id: string, name: string) => [{ op: 'put', id, name }];
    /** The visible answer, except headers that count or name the request itself. */
    const bytesOf = ({ status, headers, text }: Answer) => ({
      status,
      text,
      headers: [...headers].filter(
        ([name]) => !['date', 'x-request-id', 'traceresponse', 'ratelimit'].includes(name),
      ),
    });

    it.each([
      ['queued', {}, 202],
      ['committed', { Prefer: 'wait' }, 200],
    ] as const)(
      'gives a repeated request that was %s its first answer, byte for byte, and writes once',
      async (_, wish, status) => {
        const id = `once-${status}`;
        const first = await send(id, put(id, 'first'), wish);
        expect(first.status).toBe(status);
        const other = await post(door, put(id, 'other'), { Prefer: 'wait' });
        for (let i = 0; i < 3; i++)
          expect(bytesOf(await send(id, put(id, 'first'), wish))).toEqual(bytesOf(first));
        // Comes after any entry that a repeat might have written.
        const last = await post(door, put('barrier', 'b'), { Prefer: 'wait' });
        expect(await get(id)).toMatchObject({ name: 'other', seq: other.body.seq });
        expect(last.body.seq).toBeGreaterThan(other.body.seq);
      },
    );

    it('also gives coalesced operations their first answer', async () => {
      const ops = [{ op: 'put', id: 'two' }, ...put('two', 'a'), { op: 'patch', id: 'two', name: 'b' }];
      const first = await send('coalesced', ops);
      expect(first.body.accepted).toBe(3);
      expect(bytesOf(await send('coalesced', ops))).toEqual(bytesOf(first));
    });

    it('gives a waiting repeat the first answer, without results, if the first request did not wait', async () => {
      const first = await send('unwaited', put('unwaited', 'a'));
      const again = await send('unwaited', put('unwaited', 'a'), { Prefer: 'wait' });
      expect([again.status, again.text]).toEqual([202, first.text]);
    });

    it('that is sent many times at the same time writes once, and all requests get the same answer', async () => {
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => send('at-once', put('at-once', 'a'), { Prefer: 'wait' })),
      );
      expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
      expect(answers[0]?.body.results).toEqual([{ id: 'at-once', status: 'applied' }]);
      expect((await get('at-once')).seq).toBe(answers[0]?.body.seq);
    });

    it('[L4c] is refused with another body, and the first write stays', async () => {
      await send('reused', put('reused', 'first'), { Prefer: 'wait' });
      for (const ops of [put('reused', 'second'), put('other', 'first'), []]) {
        const { status, body } = await send('reused', ops);
        const code = ops.length === 0 ? 'validation_failed' : 'idempotency_key_reused';
        expect([status, body.code]).toEqual([422, code]);
      }
      expect((await get('reused')).name).toBe('first');
    });

    it('belongs to its principal: another API key or a person may use the same text', async () => {
      const mine = await send('shared', put('mine', 'mine'));
      const other = { ...door, call: createCall(target(), await door.apiKey(['write'])) };
      const theirs = await send('shared', put('theirs', 'theirs'), { Prefer: 'wait' }, other);
      expect([theirs.status, theirs.body.seq > mine.body.seq]).toEqual([200, true]);
      await door.call('PUT', '/v1/users/ann', { json: { displayName: 'Ann' } });
      const seqs = new Set<number>();
      // All sessions of a person share their idempotency keys.
      for (let i = 0; i < 2; i++) {
        const { call } = await openSession(target(), door, { userId: 'ann', role: 'editor' });
        seqs.add((await send('shared', put('hers', 'hers'), {}, { ...door, call })).body.seq);
      }
      expect([seqs.size, seqs.has(mine.body.seq)]).toEqual([1, false]);
    });

    it('belongs to its space', async () => {
      const elsewhere = await door.call('PUT', '/v1/spaces/elsewhere', { json: { name: 'E' } });
      expect(elsewhere.status).toBe(201);
      const here = await send('both', put('both', 'here'));
      const headers = { 'Idempotency-Key': 'both', Prefer: 'wait' };
      const there = await post({ ...door, at: '/v1/spaces/elsewhere' }, put('both', 'here'), headers);
      expect([here.status, there.status]).toEqual([202, 200]);
    });

    it('of a refused request is not kept: the request may be sent again', async () => {
      const headers = { 'Idempotency-Key': 'later' };
      const at = '/v1/spaces/later';
      expect((await post({ ...door, at }, put('o', 'n'), headers)).status).toBe(404);
      await door.call('PUT', at, { json: { name: 'Later' } });
      const { status } = await post({ ...door, at }, put('o', 'n'), { ...headers, Prefer: 'wait' });
      expect(status).toBe(200);
    });

    it('[L4c] that is older than the kept time is 409, because the write might be done twice', async () => {
      const late = await send(makeUuidV7(Date.now() - HOUR_MS - 1_000), put('late', 'late'));
      expect([late.status, late.body.code]).toEqual([409, 'key_expired']);
      expect(late.body.detail).toContain('3600 seconds');
      const inTime = await send(
        makeUuidV7(Date.now() - HOUR_MS + 600_000).toUpperCase(),
        put('in-time', 'n'),
        {
          Prefer: 'wait',
        },
      );
      expect(inTime.status).toBe(200);
      expect((await door.call('GET', `${door.at}/objects/late`)).status).toBe(404);
    });

    it.each([
      ['empty', ''],
      ['of 129 characters', 'k'.repeat(129)],
      ['with a space in it', 'a b'],
      ['beyond ASCII', 'schlüssel'],
      ['with a tab in it', 'a\tb'],
    ])('%s is refused', async (_, key) => {
      const { status, body } = await send(key, put('never', 'n'));
      expect([status, body.code, body.errors[0]?.path]).toEqual([
        422,
        'validation_failed',
        '/Idempotency-Key',
      ]);
      expect((await door.call('GET', `${door.at}/objects/never`)).status).toBe(404);
    });
  });
}
