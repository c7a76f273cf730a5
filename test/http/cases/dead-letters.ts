import { beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Door, openDoor, openSpace } from '../client.ts';
import type { Target } from '../targets.ts';
import { post } from './updates.ts';

/** An object has room for one member of this length, but not for two. */
const LONG = 'x'.repeat(40_000);
let count = 0;

/** Patches properties to more than an object can hold. @returns the id of the resulting dead letter */
export async function makeDeadLetter(
  { call }: Pick<Door, 'call'>,
  at: string,
  id = `full-${++count}`,
): Promise<string> {
  await post({ call, at }, [{ op: 'put', id, properties: { a: LONG } }], { Prefer: 'wait' });
  const ops = [{ op: 'patch', id, properties: { b: LONG } }];
  const { body } = await post({ call, at }, ops, { Prefer: 'wait' });
  expect(body.results).toEqual([{ id, status: 'rejected' }]);
  return (await call('GET', '/v1/dead-letters?limit=1')).body.items[0].id;
}

export function describeDeadLetters(target: () => Target): void {
  describe('[D5] dead letters', () => {
    let door: Door & { at: string };
    beforeAll(async () => {
      door = await openSpace(target());
    });
    const list = async (query = '', from: Pick<Door, 'call'> = door) =>
      from.call('GET', `/v1/dead-letters${query}`);
    const replay = (id: string) => door.call('POST', `/v1/dead-letters/${id}/replay`);
    const discard = (id: string) => door.call('DELETE', `/v1/dead-letters/${id}`);
    const objectOf = async (id: string) => (await door.call('GET', `${door.at}/objects/${id}`)).body;

    it('[D5b] show the operation, its author and the reason; the rest of its request was stored', async () => {
      const ops = [
        { op: 'put', id: 'before', name: 'Before' },
        { op: 'patch', id: 'heavy', name: 'lost', properties: { b: LONG } },
        { op: 'put', id: 'after', name: 'After' },
      ];
      await post(door, [{ op: 'put', id: 'heavy', name: 'kept', properties: { a: LONG } }], {
        Prefer: 'wait',
      });
      const { body } = await post(door, ops, { Prefer: 'wait' });
      expect(body.results.map(({ status }: { status: string }) => status)).toEqual([
        'applied',
        'rejected',
        'applied',
      ]);
      const heavy = await objectOf('heavy');
      expect([heavy.name, Object.keys(heavy.properties)]).toEqual(['kept', ['a']]);
      expect([(await objectOf('before')).name, (await objectOf('after')).name]).toEqual(['Before', 'After']);
      const [letter] = (await list()).body.items;
      expect(letter).toEqual({
        id: expect.any(String),
        spaceId: 'here',
        seq: body.seq,
        op: ops[1],
        actor: expect.stringMatching(/^key_/),
        error: { code: '23514', constraint: expect.any(String) },
        createdAt: expect.any(String),
        replayedAt: null,
      });
    });

    it('are listed newest first, page by page, each once', async () => {
      const own = await openSpace(target());
      const ids: string[] = [];
      for (let i = 0; i < 5; i++) ids.unshift(await makeDeadLetter(own, own.at));
      const seen: string[] = [];
      let cursor: string | null = '';
      for (let pages = 0; pages < 5 && cursor !== null; pages++) {
        const page: Answer = await list(`?limit=2&cursor=${cursor}`, own);
        expect(page.body.items.length).toBeLessThanOrEqual(2);
        seen.push(...page.body.items.map(({ id }: { id: string }) => id));
        cursor = page.body.nextCursor;
      }
      expect([cursor, seen]).toEqual([null, ids]);
      for (const query of ['?limit=0', '?limit=x', '?cursor=%FF', '?space=here'])
        expect((await list(query, own)).status).toBe(422);
    });

    it('[D5f] are applied once when they are replayed after the object has room again', async () => {
      const id = await makeDeadLetter(door, door.at, 'roomy');
      await post(door, [{ op: 'patch', id: 'roomy', properties: { a: null } }], { Prefer: 'wait' });
      const { status, body } = await replay(id);
      expect([status, body.durability, body.results]).toEqual([
        200,
        'committed',
        [{ id: 'roomy', status: 'applied' }],
      ]);
      const kept = { properties: { b: LONG }, createdBy: expect.stringMatching(/^key_/) };
      expect(await objectOf('roomy')).toMatchObject(kept);
      const letter = (await list()).body.items.find((known: { id: string }) => known.id === id);
      expect(letter.replayedAt).toEqual(expect.any(String));
      const again = await replay(id);
      expect([again.status, again.body.code]).toEqual([409, 'conflict']);
      // The correction of the first may come at any time. It changes only the seq.
      expect(await objectOf('roomy')).toMatchObject(kept);
    });

    it('[D5g] that fail again become a new letter', async () => {
      const id = await makeDeadLetter(door, door.at, 'stuck');
      const before = (await list()).body.items.length;
      const { status, body } = await replay(id);
      expect([status, body.results]).toEqual([200, [{ id: 'stuck', status: 'rejected' }]]);
      const after = (await list()).body.items;
      expect(after).toHaveLength(before + 1);
      expect(after[0]).toMatchObject({ seq: body.seq, replayedAt: null });
      expect(after[0].id).not.toBe(id);
    });

    it('[D5f] allow one of three replays at the same time, and answer 409 to the others', async () => {
      const id = await makeDeadLetter(door, door.at, 'twice');
      await post(door, [{ op: 'patch', id: 'twice', properties: { a: null } }], { Prefer: 'wait' });
      const answers = await Promise.all([replay(id), replay(id), replay(id)]);
      const done = answers.filter(({ status }) => status !== 409);
      expect(done.map(({ status }) => status)).toEqual([200]);
      for (const { status, body } of answers)
        if (status !== 200) expect([status, body.code]).toEqual([409, 'conflict']);
    });

    it('are deleted once; a letter that does not exist is 404', async () => {
      const id = await makeDeadLetter(door, door.at);
      const first = await discard(id);
      expect([first.status, first.text]).toEqual([204, '']);
      for (const answer of [await discard(id), await replay(id), await replay('nobody')])
        expect([answer.status, answer.body.code]).toEqual([404, 'not_found']);
      expect((await list('?limit=1000')).text).not.toContain(id);
      expect((await replay('a%2Fb')).status).toBe(422);
    });

    it('belong to their tenant: for another tenant they do not exist', async () => {
      const stranger = await openDoor(target());
      const headers = { 'X-Request-Id': 'same' };
      const ask = async (id: string) =>
        Promise.all(
          [
            ['POST', `/v1/dead-letters/${id}/replay`],
            ['DELETE', `/v1/dead-letters/${id}`],
          ].map(async ([method = '', path = '']) => {
            const { status, text } = await stranger.call(method, path, { headers });
            return [status, text.replaceAll(id, 'ID')];
          }),
        );
      const id = await makeDeadLetter(door, door.at, 'hidden');
      expect((await list('', stranger)).body).toEqual({ items: [], nextCursor: null });
      const answers = await ask(id);
      expect(answers.map(([status]) => status)).toEqual([404, 404]);
      expect(answers).toEqual(await ask(id.replace(/.$/, (end) => (end === '0' ? '1' : '0'))));
      expect((await list()).text).toContain(id);
    });
  });
}
