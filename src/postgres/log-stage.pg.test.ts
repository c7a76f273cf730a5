import { afterAll, describe, expect, it } from 'vitest';
import { DRIVERS } from '../../test/layers.ts';
import { makeInput, makeLogSpace, queryAs } from '../../test/log-space.ts';
import type { WorldInput } from '../world/types.ts';
import { sweepWorlds } from './operations/stage.ts';

type Space = Awaited<ReturnType<typeof makeLogSpace>>;

function toWorld(ids: string[], parts: Partial<WorldInput> = {}): WorldInput {
  const objects = ids.map((id) => ({ ...makeInput(id), createdBy: null, createdAt: null }));
  return { objects, models: [], media: [], chat: [], ...parts };
}

function toPerson(id: string) {
  const { position, rotation, properties } = makeInput(id);
  return { id, displayName: id, avatarUrl: null, position, rotation, properties };
}

describe.each(Object.entries(DRIVERS))('[L7] a staged world in the log, on %s', (_, openDriver) => {
  const postgres = openDriver();
  afterAll(() => postgres.close());

  async function stage({ store, address }: Space, world: WorldInput): Promise<string> {
    const staged = await store.stageWorld({ ...address, actor: 'ann' }, world);
    if (staged === 'unknown_space') throw new Error('the space is not there');
    expect(staged.objects).toBe(world.objects.length);
    return staged.stageId;
  }

  function toStep(space: Space, stageId: string, mode: 'replace' | 'merge' = 'replace') {
    const { incarnation, cursor: from } = space;
    return { incarnation, from, to: from + 1_000, stageId, mode, actor: 'ann', waits: true, incidents: [] };
  }

  const loadWorld = async ({ world, address }: Space) => {
    const state = await world.loadWorld(address.tenantId, address.spaceId, {});
    return { ids: state?.objects.map(({ id }) => id), users: state?.users.map(({ id }) => id), state };
  };

  it('becomes the world at its place in the order, once, with all that came with it', async () => {
    const space = await makeLogSpace(postgres);
    const { store, address, incarnation } = space;
    const stageId = await stage(
      space,
      toWorld(['a', 'b'], {
        users: [toPerson('ann')],
        models: [{ id: 'm', name: 'M', url: '/m', sha256: null, bytes: null, contentType: null }],
        chat: [{ id: 'c', userId: 'ann', text: 'hi "there"', kind: 'text', createdAt: null }],
      }),
    );
    expect((await loadWorld(space)).ids).toEqual([]);
    const step = toStep(space, stageId);
    const outcomes = await Promise.all([store.applyStage(address, step), store.applyStage(address, step)]);
    expect(outcomes.toSorted((a, b) => (a.status < b.status ? -1 : 1))).toEqual([
      { status: 'applied', objects: 2 },
      { status: 'moved', cursor: step.to, incarnation },
    ]);
    const { ids, users, state } = await loadWorld(space);
    expect([ids, users, state?.seq]).toEqual([['a', 'b'], ['ann'], step.to]);
    expect(state?.models).toMatchObject([{ id: 'm' }]);
    expect(state?.chat).toMatchObject([{ id: 'c', text: 'hi "there"', seq: step.to }]);
    expect(state?.objects[0]).toMatchObject({ seq: step.to, updatedBy: 'ann' });
    expect((await store.readResults(address, step.to, step.to))?.get(step.to)).toEqual([
      { id: stageId, status: 'applied', objects: 2 },
    ]);
    // Its objects have no seq of their own yet: a condition sees the seq of the save.
    const { seqs } = await store.loadSeqs(address, ['a', 'none']);
    expect(seqs).toEqual(
      new Map([
        ['a', step.to],
        ['none', 0],
      ]),
    );
    space.cursor = step.to;
    await space.apply({
      objects: [{ kind: 'patch', id: 'a', seq: step.to + 1, actor: 'bob', position: { x: 1 } }],
      singles: [
        { seq: step.to + 2, index: 0, actor: null, op: { op: 'patch', id: 'b', name: 'B', ifSeq: step.to } },
      ],
    });
    expect(await store.loadObjects(address, ['a', 'b'])).toMatchObject([
      { id: 'a', seq: step.to + 1, createdAt: state?.objects[0]?.createdAt },
      { id: 'b', name: 'B', createdAt: state?.objects[0]?.createdAt },
    ]);
  });

  it('keeps avatars where the world says nothing of them, and merges', async () => {
    const space = await makeLogSpace(postgres);
    const first = toStep(space, await stage(space, toWorld(['a'], { users: [toPerson('ann')] })));
    expect(await space.store.applyStage(space.address, first)).toMatchObject({ status: 'applied' });
    space.cursor = first.to;
    const second = toStep(space, await stage(space, toWorld(['b'])), 'merge');
    expect(await space.store.applyStage(space.address, second)).toMatchObject({ status: 'applied' });
    expect(await loadWorld(space)).toMatchObject({ ids: ['a', 'b'], users: ['ann'] });
    space.cursor = second.to;
    const third = toStep(space, await stage(space, toWorld(['c'])));
    expect(await space.store.applyStage(space.address, third)).toMatchObject({ status: 'applied' });
    expect(await loadWorld(space)).toMatchObject({ ids: ['c'], users: ['ann'] });
  });

  it('arrives in pieces too', async () => {
    const space = await makeLogSpace(postgres);
    const { objects, ...metadata } = toWorld(['a', 'b']);
    const items = (async function* () {
      for (const [line, object] of objects.entries()) yield [{ kind: 'object' as const, line, object }];
      yield [{ kind: 'metadata' as const, metadata }];
    })();
    const staged = await space.store.stageWorldStream({ ...space.address, actor: 'ann' }, items);
    if (staged === 'unknown_space') throw new Error('the space is not there');
    expect(await space.store.applyStage(space.address, toStep(space, staged.stageId))).toEqual({
      status: 'applied',
      objects: 2,
    });
    expect((await loadWorld(space)).ids).toEqual(['a', 'b']);
    const { store, address } = space;
    const none = { ...address, spaceId: 'none', actor: null };
    expect(await store.stageWorld(none, toWorld([]))).toBe('unknown_space');
  });

  it('[L7c] is a dead letter where it is gone or cannot be kept, and the log goes on', async () => {
    const space = await makeLogSpace(postgres);
    const { store, address } = space;
    const gone = toStep(space, 'gone');
    expect(await store.applyStage(address, gone)).toMatchObject({
      status: 'dead',
      dead: { seq: gone.to, index: 0, kind: 'stage', id: 'gone' },
    });
    space.cursor = gone.to;
    const stageId = await stage(space, toWorld(['a'], { users: [toPerson('ann')] }));
    await queryAs(space, `update world_stages set aside = '{"users": [{"id": "a/b"}]}'`);
    const bad = toStep(space, stageId);
    expect(await store.applyStage(address, bad)).toMatchObject({ status: 'dead' });
    expect((await loadWorld(space)).ids).toEqual([]);
    expect(await store.loadCursor(address)).toMatchObject({ cursor: bad.to });
    const { letters } = await store.listDeadLetters(address.tenantId, 10, '');
    expect(letters).toMatchObject([
      { op: { op: 'stage', id: stageId, mode: 'replace' }, error: { code: '23502' } },
      { op: { op: 'stage', id: 'gone', mode: 'replace' }, error: { code: null } },
    ]);
    expect((await store.readResults(address, bad.to, bad.to))?.get(bad.to)).toEqual([
      { id: stageId, status: 'rejected' },
    ]);
  });

  it('waits a week for its entry, and what no entry names an hour', async () => {
    const space = await makeLogSpace(postgres);
    await stage(space, toWorld(['a']));
    const age = (interval: string) =>
      queryAs(
        space,
        `update world_stages set touched_at = now() - interval '${interval}', queued_at = now() - interval '${interval}'`,
      );
    const sweep = () => sweepWorlds(postgres, space.address.tenantId, space.address.spaceId);
    await age('6 days');
    await sweep();
    expect(await queryAs(space, 'select from world_stages')).toHaveLength(1);
    await age('8 days');
    await sweep();
    expect(await queryAs(space, 'select from world_stages')).toHaveLength(0);
    await stage(space, toWorld(['a']));
    await age('2 hours');
    await queryAs(space, 'update world_stages set queued_at = null');
    await sweep();
    expect(await queryAs(space, 'select from world_objects')).toHaveLength(0);
  });

  it('erasing a person finds them in staged worlds and dead letters', async () => {
    const space = await makeLogSpace(postgres);
    const { store, world, address } = space;
    const seq = space.cursor + 1;
    const person = 'person-to-erase';
    await world.upsertUser(address.tenantId, {
      id: person,
      displayName: 'P',
      avatarUrl: null,
      properties: {},
    });
    const large = { text: 'x'.repeat(65_536) };
    await space.apply({
      singles: [
        { seq, index: 0, actor: person, op: { op: 'user.patch', id: person, properties: large } },
        { seq, index: 1, actor: person, op: { op: 'put', id: 'o', parentId: 'a/b' } },
      ],
      results: [{ seq, results: [person, 'o'].map((id) => ({ id, status: 'applied' })) }],
    });
    const chat = [person, 'other'].map((userId, i) => ({
      id: `c${i}`,
      userId,
      text: 'hi',
      kind: 'text',
      createdAt: null,
    }));
    const users = [toPerson(person), toPerson('other')];
    const stageId = await stage(space, toWorld(['a'], { users, chat }));
    expect(await world.eraseUser(address.tenantId, person)).not.toBeNull();
    for (const table of ['dead_letters', 'write_results', 'world_stages', 'users', 'space_members'])
      expect(JSON.stringify(await queryAs(space, `select * from ${table}`)), table).not.toContain(person);
    expect((await store.listDeadLetters(address.tenantId, 10, '')).letters).toMatchObject([
      { op: { op: 'put', id: 'o' }, actor: expect.stringMatching(/^erased:/) },
    ]);
    expect((await store.readResults(address, seq, seq))?.get(seq)).toMatchObject([{}, { id: 'o' }]);
    expect(await store.applyStage(address, toStep(space, stageId))).toMatchObject({ status: 'applied' });
    const { state, users: there } = await loadWorld(space);
    expect(there).toEqual(['other']);
    expect(state?.chat.map(({ userId }) => userId)).toEqual(['other']);
  });
});
