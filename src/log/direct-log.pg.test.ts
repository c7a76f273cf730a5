import { afterAll, describe, expect, it } from 'vitest';
import { DRIVERS } from '../../test/layers.ts';
import { makeInput, makeLogSpace, queryAs } from '../../test/log-space.ts';
import { DirectLog } from './direct-log.ts';
import type { DrainStore } from './log-stores.ts';

const CONFLICT = { code: 'conflict', message: expect.stringContaining('its log in Redis') };
const NOT_FOUND = { code: 'not_found' };
const LARGE = { text: 'x'.repeat(40_000) };

describe.each(Object.entries(DRIVERS))('DirectLog on %s', (_, openDriver) => {
  const postgres = openDriver();
  afterAll(() => postgres.close());

  /** A space that no log in Redis is kept of, until `open` is called. */
  async function makeDirectSpace() {
    const { store, world, address } = await makeLogSpace(postgres);
    const direct = { ...address, spaceId: 'direct' };
    await world.putSpace(address.tenantId, direct.spaceId, { name: 'Direct' });
    const open = () => store.openLog(direct, { instance: 'first', isLogAbsent: true });
    return { store, world, address: direct, target: { ...direct, actor: 'ann' }, open };
  }

  async function stage({ store, target }: Awaited<ReturnType<typeof makeDirectSpace>>): Promise<string> {
    const objects = [{ ...makeInput('staged'), createdBy: null, createdAt: null }];
    const staged = await store.stageWorld(target, { objects, models: [], media: [], chat: [] });
    if (staged === 'unknown_space') throw new Error('the space is not there');
    return staged.stageId;
  }

  it('writes in one order, and says what became of each', async () => {
    const space = await makeDirectSpace();
    const log = new DirectLog(space.store, () => 1_000);
    expect(log.commitsAlways).toBe(true);
    const first = await log.commit(space.target, [{ op: 'put', id: 'a', properties: LARGE }]);
    // A clock that stops, or was set back, gives no seq twice.
    const second = await log.enqueue(space.target, [
      { op: 'patch', id: 'a', properties: { more: LARGE } },
      { op: 'patch', id: 'a', name: 'A', ifSeq: first.seq },
      { op: 'delete', id: 'none' },
      { op: 'put', id: 'a', ifSeq: 0 },
    ]);
    expect(second.seq).toBe(first.seq + 1);
    expect(second.results.map(({ status }) => status)).toEqual([
      ...['rejected', 'applied', 'unknown_object', 'conflict'],
    ]);
    expect(await space.store.loadObjects(space.address, ['a'])).toMatchObject([
      { id: 'a', name: 'A', seq: second.seq, properties: LARGE },
    ]);
    const stageId = await stage(space);
    const third = await log.commitStage(space.target, { stageId, mode: 'replace' });
    expect(third.results).toEqual([{ id: stageId, status: 'applied' }]);
    expect(await space.store.loadCursor(space.address)).toMatchObject({ cursor: third.seq });
    expect(await log.commitStage(space.target, { stageId, mode: 'replace' })).toMatchObject({
      results: [{ id: stageId, status: 'rejected' }],
    });
    expect(await log.readLag()).toEqual({ seq: null, durabilityLagMs: 0 });
  });

  it('loses none of many simultaneous writes', async () => {
    const space = await makeDirectSpace();
    const log = new DirectLog(space.store, Date.now);
    const ids = Array.from({ length: 12 }, (_, i) => `o${i}`);
    const seqs = await Promise.all(
      ids.map(async (id) => (await log.commit(space.target, [{ op: 'put', id }])).seq),
    );
    expect(new Set(seqs).size).toBe(ids.length);
    expect(await space.store.loadObjects(space.address, ids)).toHaveLength(ids.length);
  });

  it('does not write to a space that is written through a log, nor to none', async () => {
    const space = await makeDirectSpace();
    const log = new DirectLog(space.store, Date.now);
    const stageId = await stage(space);
    await space.open();
    await expect(log.commit(space.target, [{ op: 'put', id: 'a' }])).rejects.toMatchObject(CONFLICT);
    await expect(log.commitStage(space.target, { stageId, mode: 'replace' })).rejects.toMatchObject(CONFLICT);
    const none = { ...space.target, spaceId: 'none' };
    await expect(log.commit(none, [{ op: 'put', id: 'a' }])).rejects.toMatchObject(NOT_FOUND);
  });

  it('does not come between the entries of a log that is opened while it writes', async () => {
    const space = await makeDirectSpace();
    const { store, target, address } = space;
    const before = await store.loadCursor(address);
    const stageId = await stage(space);
    // The log is opened when all has been looked at, and nothing is written yet.
    const racing: DrainStore = {
      ...store,
      async applyBatch(...args) {
        await space.open();
        return store.applyBatch(...args);
      },
      async applyStage(...args) {
        await space.open();
        return store.applyStage(...args);
      },
    };
    const log = new DirectLog(racing, Date.now);
    await expect(log.commit(target, [{ op: 'put', id: 'a' }])).rejects.toMatchObject(CONFLICT);
    await queryAs(space, 'update spaces set log_instance = null');
    await expect(log.commitStage(target, { stageId, mode: 'replace' })).rejects.toMatchObject(CONFLICT);
    expect(await store.loadCursor(address)).toEqual({ ...before, isLogOpen: true });
    expect(await store.loadObjects(address, ['a', 'staged'])).toEqual([]);
    // The log itself goes on from there.
    const { incarnation, cursor: from } = before ?? { incarnation: '', cursor: 0 };
    expect(
      await store.applyStage(address, {
        incarnation,
        from,
        to: from + 1,
        stageId,
        mode: 'replace',
        actor: null,
        waits: false,
        incidents: [],
      }),
    ).toEqual({ status: 'applied', objects: 1 });
  });

  it('[O1] is the one way besides the log: Postgres has no other function that writes a world', async () => {
    const space = await makeDirectSpace();
    const functions = await queryAs(
      space,
      `select proname as name from pg_proc
       where pronamespace = 'public'::regnamespace
         and proname in ('put_object', 'patch_object', 'delete_object', 'commit_stage')`,
    );
    expect(functions).toEqual([]);
  });
});
