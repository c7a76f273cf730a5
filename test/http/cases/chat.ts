import { beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/world/limits.ts';
import { type Answer, type Call, type Door, openSpace } from '../client.ts';
import { openEvents } from '../events.ts';
import type { Runtime } from '../runtimes.ts';
import type { Target, TargetEnv } from '../targets.ts';
import { openSession } from './people.ts';
import { post } from './updates.ts';

const WAIT = { Prefer: 'wait' };
const ASYNC = { Prefer: 'respond-async' };
const textsOf = (messages: { text: string }[]) => messages.map(({ text }) => text);

type Room = Door & { at: string; ann: Call; bob: Call; owner: Call };

/** A space with two viewers and an owner. */
async function openRoom(target: Target, settings = {}): Promise<Room> {
  const door = await openSpace(target);
  await door.call('PUT', door.at, { json: { name: 'Here', settings } });
  const people = { ann: 'viewer', bob: 'viewer', owner: 'owner' };
  const calls: Record<string, Call> = {};
  for (const [userId, role] of Object.entries(people)) {
    await door.call('PUT', `/v1/users/${userId}`, { json: { displayName: userId } });
    calls[userId] = (await openSession(target, door, { userId, role })).call;
  }
  return { ...door, ...(calls as Pick<Room, 'ann' | 'bob' | 'owner'>) };
}

const say = (call: Call, json: unknown, headers: Record<string, string> = {}) =>
  call('POST', '/v1/spaces/here/chat', { json, headers });
const list = async ({ call, at }: Room, query = '') => (await call('GET', `${at}/chat${query}`)).body;
const readState = async ({ call, at }: Room) => (await call('GET', `${at}/state`)).body;
const refusalOf = ({ status, body }: Answer) => [status, body.code, body.errors?.[0]?.path];

export function describeChat(target: () => Target): void {
  describe('chat', () => {
    let room: Room;
    beforeAll(async () => {
      room = await openRoom(target());
    });

    it('[M1a] posts a message under an id of the server, in the name of its person', async () => {
      const { status, body } = await say(room.ann, { text: 'hello\n👩‍👩‍👧‍👦', kind: 'shout' });
      expect([status, body.durability]).toEqual([201, 'committed']);
      const { durability, ...message } = body;
      expect(message).toMatchObject({ userId: 'ann', text: 'hello\n👩‍👩‍👧‍👦', kind: 'shout' });
      expect(Date.parse(message.createdAt)).toBe(Math.floor(message.seq / 1_000));
      expect((await list(room)).items[0]).toEqual(message);
      expect((await readState(room)).chat.at(-1)).toEqual(message);
      const { changes } = (await room.call('GET', `${room.at}/changes?since=${message.seq - 1}`)).body;
      const { id, userId, text, kind } = message;
      expect(changes[0]).toMatchObject({
        seq: message.seq,
        ops: [{ op: 'chat.post', id, userId, text, kind }],
      });
    });

    it('[M1b] a key may name the author, and a session only its person', async () => {
      const byKey = await say(room.call, { text: 'by key', userId: 'bob' });
      expect([byKey.status, byKey.body.userId]).toEqual([201, 'bob']);
      expect((await say(room.call, { text: 'by nobody' })).body.userId).toBe(null);
      // M1b: the author need not be a person that the tenant knows.
      expect((await say(room.call, { text: 'by a bot', userId: 'bot' })).body.userId).toBe('bot');
      expect(refusalOf(await say(room.ann, { text: 'as bob', userId: 'bob' }))).toEqual([
        403,
        'forbidden',
        '/ops/0/userId',
      ]);
    });

    it('[M2] returns the first message for a retry with the same id, in every way to send it', async () => {
      const first = await say(room.ann, { id: 'once', text: 'one' }, ASYNC);
      expect([first.status, first.body.durability]).toEqual([202, 'queued']);
      const again = await say(room.ann, { id: 'once', text: 'one' });
      expect([again.body.id, again.body.seq]).toEqual([first.body.id, first.body.seq]);
      expect(first.body.id).not.toBe('once');
      const other = await say(room.ann, { id: 'once', text: 'two' });
      expect(refusalOf(other).slice(0, 2)).toEqual([422, 'idempotency_key_reused']);
      const ofBob = await say(room.bob, { id: 'once', text: 'one' });
      expect(ofBob.body.id).not.toBe(first.body.id);
      const ops = ['a', 'b'].map((id) => ({ op: 'chat.post', id, text: id }));
      const { body } = await post(room, ops, WAIT);
      const repeated = await post(room, ops, WAIT);
      expect([repeated.body.seq, repeated.body.results]).toEqual([body.seq, body.results]);
      const part = await post(room, ops.slice(0, 1), WAIT);
      expect(refusalOf(part).slice(0, 2)).toEqual([422, 'idempotency_key_reused']);
      const old = '018bcfe5-6800-7000-8000-000000000000';
      for (const answer of [
        await say(room.ann, { id: old, text: 'late' }),
        await post(room, [{ op: 'chat.post', id: old, text: 'late' }]),
      ])
        expect(refusalOf(answer).slice(0, 2)).toEqual([409, 'key_expired']);
      expect(textsOf((await list(room)).items).filter((text) => ['one', 'a', 'b'].includes(text))).toEqual([
        'b',
        'a',
        'one',
        'one',
      ]);
    });

    it('[M3] hides a deleted message immediately, and followers get both operations', async () => {
      const own = await openRoom(target());
      const credential = await own.apiKey(['read']);
      const { body: kept } = await say(own.bob, { text: 'kept' });
      const events = await openEvents(target(), own.at, { credential });
      const { body: gone } = await say(own.ann, { text: 'gone' }, ASYNC);
      const path = `${own.at}/chat/${gone.id}`;
      expect(refusalOf(await own.bob('DELETE', path)).slice(0, 2)).toEqual([403, 'forbidden']);
      expect((await own.ann('DELETE', path)).status).toBe(204);
      expect(textsOf((await list(own)).items)).toEqual(['kept']);
      expect(textsOf((await readState(own)).chat)).toEqual(['kept']);
      const lines = (
        await own.call('GET', `${own.at}/state`, { headers: { Accept: 'application/x-ndjson' } })
      ).text;
      expect([lines.includes('"gone"'), lines.includes('"kept"')]).toEqual([false, true]);
      for (const call of [own.ann, own.bob, own.call]) expect((await call('DELETE', path)).status).toBe(404);
      expect((await own.call('DELETE', `${own.at}/chat/never`)).status).toBe(404);
      await expect
        .poll(() => events.events.flatMap(({ data }) => JSON.parse(data).ops).slice(0, 2))
        .toMatchObject([
          { op: 'chat.post', id: gone.id, text: 'gone' },
          { op: 'chat.delete', id: gone.id },
        ]);
      await events.leave();
      expect((await own.owner('DELETE', `${own.at}/chat/${kept.id}`)).status).toBe(204);
      const refused = await post({ call: own.owner, at: own.at }, [{ op: 'chat.delete', id: kept.id }]);
      expect(refusalOf(refused)).toEqual([403, 'forbidden', '/ops/0/op']);
    });

    it('[M3b] replaces deleted messages in a state by older ones, however many were deleted', async () => {
      const own = await openRoom(target());
      const posted: string[] = [];
      for (let i = 0; i < 4; i++) {
        const ops = Array.from({ length: 40 }, (_, n) => ({ op: 'chat.post', text: `${i * 40 + n}` }));
        const { body } = await post(own, ops, WAIT);
        posted.push(...body.results.map(({ id }: { id: string }) => id));
      }
      const numbers = (from: number, to: number) =>
        Array.from({ length: to - from }, (_, i) => `${from + i}`);
      expect(textsOf((await readState(own)).chat)).toEqual(numbers(110, 160));
      const remove = (ids: string[]) =>
        post(
          own,
          ids.map((id) => ({ op: 'chat.delete', id })),
        );
      await remove(posted.slice(120, 150));
      expect(textsOf((await readState(own)).chat)).toEqual([...numbers(80, 120), ...numbers(150, 160)]);
      await remove(posted.slice(50, 120));
      expect(textsOf((await readState(own)).chat)).toEqual([...numbers(10, 50), ...numbers(150, 160)]);
    });

    it('[M4] lists pages before and after a message or a seq', async () => {
      const own = await openRoom(target());
      const ops = Array.from({ length: 7 }, (_, i) => ({ op: 'chat.post', text: `${i}` }));
      await post(own, ops.slice(0, 4), WAIT);
      const { body } = await post(own, ops.slice(4), WAIT);
      const { items } = await list(own);
      expect(textsOf(items)).toEqual(['6', '5', '4', '3', '2', '1', '0']);
      const [, , , third, second] = items;
      const page = await list(own, '?limit=3');
      expect(textsOf(page.items)).toEqual(['6', '5', '4']);
      const next = await list(own, `?limit=3&cursor=${page.nextCursor}`);
      expect(textsOf(next.items)).toEqual(['3', '2', '1']);
      expect(textsOf((await list(own, `?before=${third.id}`)).items)).toEqual(['2', '1', '0']);
      expect(textsOf((await list(own, `?before=${body.seq}`)).items)).toEqual(['3', '2', '1', '0']);
      expect(textsOf((await list(own, `?after=${third.seq}`)).items)).toEqual(['6', '5', '4']);
      const forward = await list(own, `?after=${second.id}&limit=2`);
      expect(textsOf(forward.items)).toEqual(['4', '3']);
      const onwards = await list(own, `?after=${second.id}&limit=2&cursor=${forward.nextCursor}`);
      expect([textsOf(onwards.items), onwards.nextCursor]).toEqual([['6', '5'], null]);
      expect(textsOf((await list(own, `?after=${second.id}&before=${items[1].id}`)).items)).toEqual([
        '4',
        '3',
      ]);
      for (const name of ['before', 'after']) {
        const answer = await own.call('GET', `${own.at}/chat?${name}=nothing`);
        expect(refusalOf(answer)).toEqual([422, 'validation_failed', `/${name}`]);
      }
      expect((await own.call('GET', '/v1/spaces/nowhere/chat')).status).toBe(404);
    });

    it('[M5] a viewer may speak and move its own avatar, and do nothing else', async () => {
      const viewer = { call: room.ann, at: room.at };
      const allowed = await post(
        viewer,
        [
          { op: 'chat.post', text: 'walking' },
          { op: 'user.patch', id: 'ann', position: { x: 1, y: 0, z: 0 } },
          { op: 'user.move', ids: ['ann'], position: [2, 0, 0] },
        ],
        WAIT,
      );
      expect(allowed.body.results.map(({ status }: { status: string }) => status)).toEqual(
        Array(3).fill('applied'),
      );
      for (const op of [
        { op: 'put', id: 'x' },
        { op: 'patch', id: 'x' },
        { op: 'delete', id: 'x' },
        { op: 'move', ids: ['x'], position: [0, 0, 0] },
        { op: 'chat.delete', id: 'x' },
      ])
        expect(refusalOf(await post(viewer, [op]))).toEqual([403, 'forbidden', '/ops/0/op']);
      const other = await post(viewer, [{ op: 'user.patch', id: 'bob' }]);
      expect(refusalOf(other)).toEqual([403, 'forbidden', '/ops/0/id']);
    });

    it('[M5a] settings.chat is the lowest role that may speak, or off, from the next message on', async () => {
      const own = await openRoom(target(), { chat: 'owner' });
      const refused = await say(own.ann, { text: 'no' });
      expect(refusalOf(refused).slice(0, 2)).toEqual([403, 'forbidden']);
      expect(refused.body.detail).toContain('"owner"');
      expect((await say(own.owner, { text: 'yes' })).status).toBe(201);
      expect((await say(own.call, { text: 'by key' })).status).toBe(201);
      const set = (chat?: string) =>
        own.call('PUT', own.at, { json: { name: 'Here', settings: chat === undefined ? {} : { chat } } });
      await set('off');
      for (const call of [own.ann, own.owner, own.call])
        expect((await say(call, { text: 'off' })).body.detail).toBe('Chat is off in this space.');
      await set();
      expect((await say(own.ann, { text: 'again' })).status).toBe(201);
      expect(refusalOf(await set('everybody'))).toEqual([422, 'validation_failed', '/settings/chat']);
    });

    it.each([
      ['', 'must not be empty'],
      [' \n', 'must not be empty'],
      ['x'.repeat(4_001), 'must have at most 4000 characters, not 4001'],
      ['😀'.repeat(4_001), 'must have at most 4000 characters, not 4001'],
      ['a\u0000b', 'must not contain a NUL character or a broken Unicode character (lone surrogate)'],
      ['a\ud800b', 'must not contain a NUL character or a broken Unicode character (lone surrogate)'],
      [
        'a\u0007b',
        'must not contain U+0007: control characters and text-direction overrides are not allowed',
      ],
      [
        'a\u202eb',
        'must not contain U+202E: control characters and text-direction overrides are not allowed',
      ],
    ])('refuses the text %j', async (text, message) => {
      const answer = await say(room.ann, { text });
      expect([answer.status, answer.body.errors]).toEqual([422, [{ path: '/text', message }]]);
      const inUpdates = await post(room, [{ op: 'chat.post', text }]);
      expect(inUpdates.body.errors).toEqual([{ path: '/ops/0/text', message }]);
    });

    it('keeps 4,000 emoji of several code units, right-to-left text and line ends', async () => {
      const own = await openRoom(target());
      const texts = ['😀'.repeat(4_000), 'שלום \u200fעולם', '\tone\r\ntwo', '__proto__', '"\\'];
      for (const text of texts) expect((await say(own.ann, { text })).status).toBe(201);
      expect(textsOf((await readState(own)).chat)).toEqual(texts);
      expect(textsOf((await list(own)).items)).toEqual(texts.toReversed());
      const state = await readState(own);
      const { status } = await own.call('PUT', `${own.at}/state`, { json: state });
      expect([status, textsOf((await readState(own)).chat)]).toEqual([200, texts]);
    });

    it('keeps ids and times of imported messages, and sorts new ones after them', async () => {
      const own = await openRoom(target());
      const chat = [
        { id: 'old-2', userId: null, text: 'second', createdAt: '2020-01-02T00:00:00.000Z' },
        { id: 'old-1', userId: null, text: 'first', createdAt: '2020-01-01T00:00:00.000Z' },
      ];
      await say(own.ann, { text: 'third' });
      await own.call('PUT', `${own.at}/state?mode=merge`, { json: { objects: [], chat } });
      await say(own.ann, { text: 'fourth' });
      const state = await readState(own);
      expect(textsOf(state.chat)).toEqual(['first', 'second', 'third', 'fourth']);
      expect(state.chat[0]).toMatchObject({ id: 'old-1', createdAt: '2020-01-01T00:00:00.000Z' });
      expect((await list(own)).items).toEqual(state.chat.toReversed());
    });

    it('[T1] another tenant’s message is 404, byte for byte as one that does not exist', async () => {
      const { body } = await say(room.ann, { text: 'private' });
      const stranger = await openRoom(target());
      const ask = async (id: string) => {
        const { status, text, body: problem } = await stranger.call('DELETE', `${stranger.at}/chat/${id}`);
        return [status, text.replaceAll(problem.requestId, 'R').replaceAll(id, 'ID')];
      };
      expect(await ask(body.id)).toEqual(await ask(crypto.randomUUID()));
      expect(textsOf((await list(room)).items)).toContain('private');
    });

    it('[T8] erasing a person deletes their messages, and no others', async () => {
      const own = await openRoom(target());
      await say(own.ann, { text: 'mine' });
      await own.call('POST', `${own.at}/chat`, { json: { text: 'of nobody' } });
      expect((await own.call('DELETE', '/v1/users/ann')).status).toBe(204);
      expect(textsOf((await readState(own)).chat)).toEqual(['of nobody']);
      expect(textsOf((await list(own)).items)).toEqual(['of nobody']);
    });

    it('[M6] refuses the message after the thirtieth of a person in a minute, and nothing else', async () => {
      const own = await openRoom(target());
      const max = LIMITS.chatMessagesPerMinute;
      const ops = Array.from({ length: max }, (_, i) => ({ op: 'chat.post', text: `${i}` }));
      expect((await post({ call: own.ann, at: own.at }, ops)).status).toBe(202);
      const refused = await say(own.ann, { text: 'too much' });
      expect([refused.status, refused.body.code, Number(refused.headers.get('Retry-After'))]).toEqual([
        429,
        'rate_limited',
        2,
      ]);
      expect(refused.body.detail).toContain(`At most ${max} messages in 60 seconds`);
      const byKey = await say(own.call, { text: 'for ann', userId: 'ann' });
      expect(byKey.status).toBe(429);
      expect((await say(own.bob, { text: 'still' })).status).toBe(201);
      expect((await say(own.call, { text: 'by nobody' })).status).toBe(201);
      const moved = await post({ call: own.ann, at: own.at }, [{ op: 'user.patch', id: 'ann' }]);
      expect(moved.status).toBe(202);
    });
  });
}

/** Cases with other settings. */
export function describeChatElsewhere({ start, makeEnv }: Runtime): void {
  describe('chat, with other settings', () => {
    async function using(changes: TargetEnv, run: (target: Target) => Promise<void>): Promise<void> {
      const target = await start(makeEnv(changes));
      try {
        await run(target);
      } finally {
        await target.stop();
      }
    }

    it('[M1] 1,000 messages of 10 people have one order: on the stream, in the list and in the state', async () => {
      // A heartbeat finds entries whose publication was lost (R1c), long before the test gives up.
      await using({ RATE_LIMIT_CHAT_PER_MINUTE: '0', STREAM_HEARTBEAT_SECONDS: '5' }, async (target) => {
        const room = await openRoom(target);
        const credential = await room.apiKey(['read']);
        const events = await openEvents(target, room.at, { credential });
        const speakers = await Promise.all(
          Array.from({ length: 10 }, async (_, i) => {
            const userId = `p${i}`;
            await room.call('PUT', `/v1/users/${userId}`, { json: { displayName: userId } });
            return (await openSession(target, room, { userId })).call;
          }),
        );
        await Promise.all(
          speakers.map(async (call, i) => {
            for (let n = 0; n < 100; n++)
              expect((await say(call, { text: `${i}.${n}` }, ASYNC)).status).toBe(202);
          }),
        );
        const history: { id: string; text: string }[] = [];
        for (let cursor = ''; ; ) {
          const page = await list(room, cursor === '' ? '' : `?cursor=${cursor}`);
          history.push(...page.items);
          if (page.nextCursor === null) break;
          cursor = page.nextCursor;
        }
        const ids = history.map(({ id }) => id).toReversed();
        expect([ids.length, new Set(ids).size]).toEqual([1_000, 1_000]);
        const streamed = () =>
          events.events
            .filter(({ event }) => event === 'change')
            .flatMap(({ data }) => JSON.parse(data).ops.map(({ id }: { id: string }) => id));
        await expect.poll(() => streamed().length).toBe(1_000);
        expect(streamed()).toEqual(ids);
        await events.leave();
        const { chat } = await readState(room);
        expect(chat.map(({ id }: { id: string }) => id)).toEqual(ids.slice(-50));
        for (let i = 0; i < 10; i++)
          expect(textsOf(history).filter((text) => text.startsWith(`${i}.`))).toEqual(
            Array.from({ length: 100 }, (_, n) => `${i}.${99 - n}`),
          );
      });
    });

    it('[M5a] without a Redis, the rule and the limit hold in each process', async () => {
      const without = { UPSTASH_REDIS_REST_URL: '', UPSTASH_REDIS_REST_TOKEN: '' };
      await using({ ...without, RATE_LIMIT_CHAT_PER_MINUTE: '2' }, async (target) => {
        const room = await openRoom(target, { chat: 'viewer' });
        for (const text of ['one', 'two']) expect((await say(room.ann, { text })).status).toBe(201);
        expect((await say(room.ann, { text: 'three' })).status).toBe(429);
        await room.call('PUT', room.at, { json: { name: 'Here', settings: { chat: 'editor' } } });
        expect((await say(room.bob, { text: 'no' })).status).toBe(403);
        const { id } = (await list(room)).items[1];
        expect((await room.ann('DELETE', `${room.at}/chat/${id}`)).status).toBe(204);
        expect(textsOf((await readState(room)).chat)).toEqual(['two']);
      });
    });
  });
}
