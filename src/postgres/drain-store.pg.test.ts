import { afterAll, describe, expect, it } from 'vitest';
import { DRIVERS } from '../../test/layers.ts';
import { makeInput, makeLogSpace, queryAs } from '../../test/log-space.ts';
import type { ObjectPutChange } from '../world/batch.ts';
import { LIMITS } from '../world/limits.ts';
import type { LogOperation } from '../world/operation.ts';
import { seqToTime } from '../world/seq-time.ts';

type Space = Awaited<ReturnType<typeof makeLogSpace>>;

function toPut(space: Space, id: string, parts: Partial<ObjectPutChange> = {}): ObjectPutChange {
  const seq = space.cursor + 1;
  const put = {
    id,
    seq,
    actor: 'ann',
    object: makeInput(id),
    createdSeq: seq,
    createdBy: 'ann',
    isNew: false,
  };
  return { kind: 'put', ...put, ...parts };
}

describe.each(Object.entries(DRIVERS))('a log on Postgres, on %s', (_, openDriver) => {
  const postgres = openDriver();
  afterAll(() => postgres.close());

  describe('opening', () => {
    it('notes that a log was lost where it lived in another life of Redis, or is gone after a minute', async () => {
      const space = await makeLogSpace(postgres);
      const { store, address, incarnation, cursor } = space;
      const opened = { incarnation, incarnationSeq: cursor, cursor, chat: 'viewer' };
      const lost = () => queryAs(space, "select detail from incidents where kind = 'log_lost'");
      // A log that was just opened has nothing in it.
      for (const isLogAbsent of [false, true])
        expect(await store.openLog(address, { instance: 'first', isLogAbsent })).toEqual({
          ...opened,
          reopened: 'open',
        });
      expect(await lost()).toEqual([]);
      expect(await store.openLog(address, { instance: 'second', isLogAbsent: true })).toEqual({
        ...opened,
        reopened: 'lost',
      });
      expect(await lost()).toEqual([{ detail: { durableSeq: cursor } }]);
      // One that opens it just after the other is told too.
      expect(await store.openLog(address, { instance: 'second', isLogAbsent: true })).toMatchObject({
        reopened: 'lost',
      });
      expect(await lost()).toHaveLength(1);
      await queryAs(space, "update spaces set log_opened_at = now() - interval '61 seconds'");
      await store.openLog(address, { instance: 'second', isLogAbsent: false });
      expect(await lost()).toHaveLength(1);
      await store.openLog(address, { instance: 'second', isLogAbsent: true });
      await store.openLog(address, { instance: 'second', isLogAbsent: true });
      expect(await lost()).toHaveLength(2);
    });

    it('notes a reader that is ahead of the log where that can be, once in an hour', async () => {
      const space = await makeLogSpace(postgres);
      const { store, address, incarnation, cursor } = space;
      const ahead = { incarnation, last: cursor, next: null };
      const note = (seen: number, changes = {}) =>
        store.noteReaderAhead(address, { ...ahead, seen, ...changes });
      const noted = () => queryAs(space, "select detail from incidents where kind = 'reader_ahead'");
      const future = Date.now() * 1_000 + 120_000_000;
      for (const seen of [cursor, future]) expect(await note(seen)).toEqual({ cursor, isNoted: false });
      expect(await note(cursor + 1, { incarnation: 'another' })).toBeNull();
      expect(await noted()).toEqual([]);
      expect(await note(cursor + 1)).toEqual({ cursor, isNoted: true });
      expect(await note(cursor + 2, { last: cursor + 1 })).toEqual({ cursor, isNoted: false });
      expect(await noted()).toEqual([{ detail: { after: cursor, seen: cursor + 1, next: null } }]);
    });

    it('starts again with a space that was deleted and created again, and answers unknown_space for a missing one', async () => {
      const { store, world, address, incarnation, cursor } = await makeLogSpace(postgres);
      expect(await store.loadCursor(address)).toMatchObject({ incarnation, cursor, isLogOpen: true });
      expect(await store.deleteSpace(address)).toEqual({ incarnation });
      expect(await store.deleteSpace(address)).toBeNull();
      for (const opened of [
        await store.openLog(address, { instance: 'first', isLogAbsent: false }),
        await store.loadCursor(address),
        await store.openLog({ ...address, spaceId: 'none' }, { instance: 'first', isLogAbsent: false }),
      ])
        expect(opened).toBeNull();
      const put = (retired: string | null) =>
        world.putSpace(address.tenantId, address.spaceId, { name: 'Again' }, retired);
      // Not before its log is retired: what is appended to the new one would go to that.
      expect(await put(null)).toEqual({ toRetire: incarnation });
      expect(await store.loadCursor(address)).toBeNull();
      expect(await put(incarnation)).toMatchObject({ created: true });
      const again = await store.loadCursor(address);
      expect(again).toMatchObject({ isLogOpen: false, incarnationSeq: again?.cursor });
      expect(again?.incarnation).not.toBe(incarnation);
      expect(again?.incarnationSeq).toBeGreaterThan(cursor);
    });
  });

  describe('a batch', () => {
    it('[D8d] stores an object as a write left it for a minute of the order, and no object that nobody needs', async () => {
      const space = await makeLogSpace(postgres);
      const { store, address } = space;
      const write = async (seq: number, name: string) => {
        const change = {
          kind: 'put',
          seq,
          actor: null,
          createdSeq: seq,
          createdBy: null,
          isNew: false,
        } as const;
        const objects = ['o', 'p'].map((id) => ({ ...change, id, object: { ...makeInput(id), name } }));
        await space.apply({ to: seq, objects, written: [{ seq, id: 'o' }] });
      };
      const first = space.cursor + 1;
      await write(first, 'first');
      await write(first + LIMITS.writtenObjectsKeptMs * 1_000, 'second');
      expect(await store.readWritten(address, first)).toMatchObject({ object: { id: 'o', name: 'first' } });
      const last = space.cursor + 1;
      await write(last, 'third');
      expect(await store.readWritten(address, first)).toBeNull();
      expect(await store.readWritten(address, last)).toMatchObject({
        object: { id: 'o', name: 'third', seq: last },
        createdSeq: first,
      });
      expect(await queryAs(space, 'select from written_objects')).toHaveLength(2);
    });

    it('[D1] of two from the same cursor one is applied, and doubled it changes nothing', async () => {
      const space = await makeLogSpace(postgres);
      const { store, address, incarnation } = space;
      await space.apply({ objects: [toPut(space, 'o')] });
      const from = space.cursor;
      const move = (x: number) =>
        space.toBatch({
          to: from + x,
          objects: [{ kind: 'patch', id: 'o', seq: from + x, actor: null, position: { x } }],
          results: [{ seq: from + x, results: [{ id: 'o', status: 'applied' }] }],
          incidents: [{ kind: 'log_gap', detail: { x } }],
        });
      const batches = [move(10), move(20)] as const;
      const outcomes = await Promise.all(batches.map((batch) => store.applyBatch(address, batch)));
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['applied', 'moved']);
      const won = batches[outcomes.findIndex(({ status }) => status === 'applied')] ?? batches[0];
      for (const batch of batches)
        expect(await store.applyBatch(address, batch)).toEqual({
          status: 'moved',
          cursor: won.to,
          incarnation,
        });
      expect(await space.loadObject('o')).toMatchObject({ seq: won.to, position: { x: won.to - from } });
      expect(await queryAs(space, 'select seq from write_results')).toEqual([{ seq: String(won.to) }]);
      expect(await queryAs(space, 'select kind, detail from incidents')).toEqual([
        { kind: 'log_gap', detail: { x: won.to - from } },
      ]);
    });

    it('of another incarnation, or of a deleted space, changes nothing', async () => {
      const space = await makeLogSpace(postgres);
      const { store, address, incarnation, cursor } = space;
      const objects = [toPut(space, 'o')];
      expect(await store.applyBatch(address, space.toBatch({ incarnation: 'other', objects }))).toEqual({
        status: 'moved',
        cursor,
        incarnation,
      });
      expect(await space.loadObject('o')).toBeUndefined();
      await store.deleteSpace(address);
      expect(await store.applyBatch(address, space.toBatch({ objects }))).toEqual({
        status: 'unknown_space',
      });
    });

    it('changes the fields given and no others, and merges properties in their order', async () => {
      const space = await makeLogSpace(postgres);
      const given = {
        ...makeInput('o'),
        name: 'O',
        modelId: 'm',
        parentId: 'p',
        properties: { a: 1, b: { c: 1, d: 2 } },
      };
      await space.apply({ objects: [toPut(space, 'o', { object: given }), toPut(space, 'NULL')] });
      const seq = space.cursor + 1;
      const change = { kind: 'patch', id: 'o', seq, actor: 'bob' } as const;
      await space.apply({ objects: [{ ...change, position: { y: 2 } }] });
      expect(await space.loadObject('o')).toMatchObject({
        ...given,
        position: { x: 0, y: 2, z: 0 },
        seq,
        createdBy: 'ann',
        updatedBy: 'bob',
      });
      const name = 'quo"te, {brace} back\\slash NULL ü𝄞';
      await space.apply({
        objects: [
          { ...change, name, modelId: null, scale: { z: 3 }, patches: [{ b: null }, { b: { e: name } }] },
          { ...change, id: 'NULL', rotation: { x: 1, y: 0, z: 0, w: 0 } },
        ],
      });
      expect(await space.loadObject('o')).toMatchObject({
        name,
        modelId: null,
        parentId: 'p',
        scale: { x: 1, y: 1, z: 3 },
        properties: { a: 1, b: { e: name } },
      });
      expect((await space.loadObject('NULL'))?.rotation).toEqual({ x: 1, y: 0, z: 0, w: 0 });
      await space.apply({
        objects: [{ ...change, name: null, patches: [{ a: [null, { f: null }], g: name }] }],
      });
      expect(await space.loadObject('o')).toMatchObject({
        name: null,
        properties: { a: [null, { f: null }], b: { e: name }, g: name },
      });
    });

    it('keeps the time and author of an object, unless it is created again', async () => {
      const space = await makeLogSpace(postgres);
      const made = space.cursor + 1;
      await space.apply({ objects: [toPut(space, 'o')] });
      await space.apply({ objects: [toPut(space, 'o', { createdBy: 'bob', actor: 'bob' })] });
      expect(await space.loadObject('o')).toMatchObject({
        createdBy: 'ann',
        updatedBy: 'bob',
        createdAt: seqToTime(made),
        seq: made + 100,
      });
      const anew = space.cursor + 1_000_000;
      const objects = [toPut(space, 'o', { createdBy: 'cid', createdSeq: anew, seq: anew, isNew: true })];
      await space.apply({ objects, to: anew });
      expect(await space.loadObject('o')).toMatchObject({ createdBy: 'cid', createdAt: seqToTime(anew) });
    });

    it('counts patches of missing objects, and deletes existing ones, with a note for an hour', async () => {
      const space = await makeLogSpace(postgres);
      await space.apply({ objects: [toPut(space, 'o'), toPut(space, 'p')] });
      const seq = space.cursor + 1;
      const patch = { kind: 'patch', seq, actor: null } as const;
      const { unknown } = await space.apply({
        objects: [
          { ...patch, id: 'none', position: { x: 1 } },
          { ...patch, id: 'none either', name: 'x' },
          { kind: 'delete', id: 'o', seq },
          { kind: 'delete', id: 'nor this', seq },
        ],
      });
      expect(unknown).toBe(2);
      expect(await space.loadObject('o')).toBeUndefined();
      const removals = () => queryAs(space, 'select object_id as id, seq from object_removals order by 1');
      expect(await removals()).toEqual([{ id: 'o', seq: String(seq) }]);
      const later = seq + 3_600_000_001;
      await space.apply({ objects: [{ kind: 'delete', id: 'p', seq: later }], to: later });
      expect(await removals()).toEqual([{ id: 'p', seq: String(later) }]);
    });

    it('puts avatars of known people there, at the origin or where they stood', async () => {
      const space = await makeLogSpace(postgres);
      const { store, world, address } = space;
      for (const id of ['ann', 'bob'])
        await world.upsertUser(address.tenantId, { id, displayName: id, avatarUrl: null, properties: {} });
      const seq = space.cursor + 1;
      await space.apply({
        avatars: [
          { id: 'ann', seq, position: { x: 1, y: 2, z: 3 }, patches: [{ hat: true, coat: { red: 1 } }] },
          { id: 'bob', seq, rotation: { x: 0, y: 1, z: 0, w: 0 } },
          { id: 'nobody', seq, position: { x: 1, y: 2, z: 3 } },
        ],
      });
      await space.apply({
        avatars: [{ id: 'ann', seq: seq + 1, patches: [{ coat: { blue: 2 } }, { hat: null }] }],
      });
      const avatars = await store.loadAvatars(address, ['ann', 'bob', 'nobody']);
      expect(avatars.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
        {
          id: 'ann',
          position: { x: 1, y: 2, z: 3 },
          rotation: { x: 0, y: 0, z: 0, w: 1 },
          properties: { coat: { red: 1, blue: 2 } },
        },
        { id: 'bob', position: { x: 0, y: 0, z: 0 }, rotation: { x: 0, y: 1, z: 0, w: 0 }, properties: {} },
      ]);
    });

    it('[D5a] with rows that cannot be kept applies nothing and names them all', async () => {
      const space = await makeLogSpace(postgres);
      const { store, world, address } = space;
      await world.upsertUser(address.tenantId, {
        id: 'ann',
        displayName: 'A',
        avatarUrl: null,
        properties: {},
      });
      const ids = Array.from({ length: 200 }, (_, i) => `o${i}`);
      await space.apply({ objects: ids.map((id) => toPut(space, id)) });
      const large = { text: 'x'.repeat(65_536) };
      const seq = space.cursor + 1;
      const batch = space.toBatch({
        objects: [
          ...ids.map((id, i) => {
            const change = { kind: 'patch', id, seq, actor: null } as const;
            if (i % 20 === 7) return { ...change, position: { x: Number.POSITIVE_INFINITY } };
            if (i % 50 === 11) return { ...change, patches: [large] };
            if (i === 100) return { ...change, name: 'nul\0' };
            return i % 2 === 0 ? { ...change, position: { x: i } } : { ...change, name: 'kept' };
          }),
          toPut(space, 'new'),
          toPut(space, 'bad', { object: { ...makeInput('bad'), parentId: 'a/b' } }),
          { kind: 'delete', id: 'o0 ', seq },
        ],
        avatars: [{ id: 'ann', seq, patches: [large] }],
        incidents: [{ kind: 'log_gap', detail: {} }],
      });
      const poisoned = ids.filter((_, i) => i % 20 === 7 || i % 50 === 11 || i === 100);
      const outcome = await store.applyBatch(address, batch);
      expect(outcome).toMatchObject({ status: 'poisoned', userIds: ['ann'] });
      expect('objectIds' in outcome && outcome.objectIds.toSorted()).toEqual([...poisoned, 'bad'].sort());
      expect(await store.loadCursor(address)).toMatchObject({ cursor: space.cursor });
      expect((await store.loadObjects(address, ids)).filter((o) => o.position.x !== 0 || o.name)).toEqual([]);
      expect(await queryAs(space, 'select 1 from incidents')).toEqual([]);

      const apart = new Set([...poisoned, 'bad']);
      const { dead } = await space.apply({
        objects: batch.objects.filter(({ id }) => !apart.has(id)),
        singles: [
          {
            seq,
            index: 0,
            actor: 'ann',
            op: { op: 'patch', id: 'o7', position: { x: Number.POSITIVE_INFINITY } },
          },
          { seq, index: 1, actor: 'ann', op: { op: 'patch', id: 'o7', position: { x: 7 } } },
          { seq, index: 2, actor: 'ann', op: { op: 'user.patch', id: 'ann', properties: large } },
          { seq, index: 3, actor: null, op: { op: 'patch', id: 'o100', name: 'nul\0' } },
        ],
        results: [{ seq, results: ['o7', 'o7', 'ann', 'o100'].map((id) => ({ id, status: 'applied' })) }],
      });
      expect(dead.map(({ seq: at, index, kind, id }) => [at, index, kind, id])).toEqual([
        [seq, 0, 'object', 'o7'],
        [seq, 2, 'avatar', 'ann'],
        [seq, 3, 'object', 'o100'],
      ]);
      expect(await space.loadObject('o7')).toMatchObject({ position: { x: 7 }, seq, updatedBy: 'ann' });
      expect(await space.loadObject('o2')).toMatchObject({ position: { x: 2 } });
      const results = await store.readResults(address, seq, space.cursor);
      expect(results?.get(seq)?.map(({ status }) => status)).toEqual([
        ...['rejected', 'applied', 'rejected', 'rejected'],
      ]);
    });

    it('[D5a] finds the messages that cannot be stored, and applies the others', async () => {
      const space = await makeLogSpace(postgres);
      const { store, address } = space;
      const seq = space.cursor + 1;
      const long = 'x'.repeat(4_001);
      const toMessage = (id: string, text: string) => ({
        id,
        post: { seq, userId: null, text, kind: 'text' },
        deletedSeq: null,
      });
      const messages = [toMessage('a', 'kept'), toMessage('b', long), toMessage('c', 'nul\0')];
      const outcome = await store.applyBatch(address, space.toBatch({ messages }));
      expect(outcome).toEqual({ status: 'poisoned', objectIds: [], userIds: [], messageIds: ['b', 'c'] });
      const toSingle = (index: number, op: LogOperation) => ({ seq, index, actor: null, op });
      const post = { op: 'chat.post', userId: 'ann', kind: 'text' } as const;
      const { dead, absent } = await space.apply({
        messages: [...messages.slice(0, 1), { id: 'gone', post: null, deletedSeq: seq }],
        singles: [
          toSingle(1, { ...post, id: 'b', text: long }),
          toSingle(2, { ...post, id: 'd', text: 'kept too' }),
          toSingle(3, { op: 'chat.delete', id: 'd' }),
          toSingle(4, { op: 'chat.delete', id: 'b' }),
        ],
        results: [{ seq, results: ['a', 'b', 'd', 'd', 'b'].map((id) => ({ id, status: 'applied' })) }],
      });
      expect(dead.map(({ kind, id }) => [kind, id])).toEqual([['message', 'b']]);
      expect(absent.messages).toEqual(['gone']);
      const results = await store.readResults(address, seq, space.cursor);
      expect(results?.get(seq)?.map(({ status }) => status)).toEqual([
        ...['applied', 'rejected', 'applied', 'applied', 'unknown_object'],
      ]);
      const rows = await queryAs(
        space,
        'select message_id, user_id, text, seq_to_time(seq) = created_at as is_timed, deleted_at = created_at as is_deleted from chat_messages order by message_id',
      );
      expect(rows).toEqual([
        { message_id: 'a', user_id: null, text: 'kept', is_timed: true, is_deleted: null },
        { message_id: 'd', user_id: 'ann', text: 'kept too', is_timed: true, is_deleted: true },
      ]);
    });
  });
});
