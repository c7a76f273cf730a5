import { describe, expect, it } from 'vitest';
import type { DeadLetter } from '../../src/log/dead-letters.ts';
import type { DrainStore, LogAddress } from '../../src/log/log-stores.ts';
import type { Operation } from '../../src/world/operation.ts';
import { isStage } from '../../src/world/operation-effects.ts';
import { replayEntry } from '../../src/world/replay.ts';
import { emptyWorld, isDirty, loadState, readLog } from './fold.ts';
import { killAt, makeSpace, NO_DRAIN, openDrain, openSpaceLog, useRig, wrapStore } from './rig.ts';

const rig = useRig();
const OBJECTS = 5_000;
const BAD = 100;
const BUDGET = { budgetMs: 120_000 };

const idOf = (i: number) => `object-${i}`;
const isBad = (i: number) => i % (OBJECTS / BAD) === 7;
/** An object has room for one of these, but not for two. */
const HALF = 'x'.repeat(40_000);

async function append(address: LogAddress, operations: readonly Operation[], actor: string | null = null) {
  const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
  for (let i = 0; i < operations.length; i += 1_000)
    await spaceLog.enqueue({ ...address, actor }, operations.slice(i, i + 1_000), options());
}

async function listLetters(address: LogAddress) {
  const listed: DeadLetter[] = [];
  for (;;) {
    const { letters, more } = await rig.store.listDeadLetters(
      address.tenantId,
      1_000,
      listed.at(-1)?.id ?? '',
    );
    listed.push(...letters);
    if (!more) return listed;
    // A page is small enough for one answer.
    expect(letters).toHaveLength(50);
  }
}

/** The world of a reader that applies the whole log, including operations that Postgres could not store. */
async function readAsReader(address: LogAddress) {
  const world = emptyWorld();
  for (const entry of await readLog(rig, address)) if (!isStage(entry)) replayEntry(world, entry);
  return world;
}

describe('[D5] an operation that Postgres cannot store', () => {
  it('removes no other operation of the same request', async () => {
    const address = await makeSpace(rig);
    await append(address, [{ op: 'put', id: 'a', properties: { first: HALF } }]);
    await append(address, [
      { op: 'patch', id: 'a', position: { x: 7 }, name: 'kept' },
      { op: 'patch', id: 'a', properties: { second: HALF } },
      { op: 'patch', id: 'a', properties: { small: true } },
      { op: 'patch', id: 'a', position: { z: 9 } },
    ]);
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    const { objects } = await loadState(rig, address);
    expect(objects).toMatchObject([
      { id: 'a', name: 'kept', position: { x: 7, y: 0, z: 9 }, properties: { first: HALF, small: true } },
    ]);
    expect((await listLetters(address)).map(({ op }) => op)).toEqual([
      { op: 'patch', id: 'a', properties: { second: HALF } },
    ]);
  });

  it('becomes a dead letter: 100 of 5,000 operations, and the others are applied', {
    timeout: 120_000,
  }, async () => {
    const address = await makeSpace(rig);
    const numbers = Array.from({ length: OBJECTS }, (_, i) => i);
    await append(
      address,
      numbers.map((i) => ({ op: 'put', id: idOf(i), properties: isBad(i) ? { first: HALF } : { i } })),
    );
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    await append(
      address,
      numbers.map((i) => ({
        op: 'patch',
        id: idOf(i),
        position: { x: i, y: 1, z: 2 },
        ...(isBad(i) && { properties: { second: HALF } }),
      })),
      'mia',
    );
    const { drain, told } = openDrain(rig);
    expect(await drain.drainSpace(address, BUDGET)).toMatchObject({ status: 'drained' });

    const letters = await listLetters(address);
    const badIds = numbers.filter(isBad).map(idOf);
    expect(letters.map(({ op }) => op.id).sort()).toEqual(badIds.toSorted());
    expect(letters[0]).toMatchObject({ actor: 'mia', error: { code: '23514' }, op: { op: 'patch' } });
    const buried = told.filter(({ event }) => event === 'dead_letters');
    expect(buried.reduce((sum, { count = 0 }) => sum + count, 0)).toBe(BAD);
    const objects = await rig.store.loadObjects(address, numbers.map(idOf));
    const kept = new Map(objects.map((object) => [object.id, object]));
    for (const i of numbers) {
      const { position, properties } = kept.get(idOf(i)) ?? {};
      if (isBad(i))
        expect({ position, properties }).toEqual({ position: ORIGIN, properties: { first: HALF } });
      else expect({ position, properties }).toEqual({ position: { x: i, y: 1, z: 2 }, properties: { i } });
    }
    // The corrections are appended and committed.
    expect(await rig.store.listUncorrected(address, 1_000)).toEqual([]);
    expect(await isDirty(rig, address)).toBe(false);
    const { objects: seen } = await readAsReader(address);
    for (const id of badIds)
      expect(seen.get(id)).toMatchObject({ position: ORIGIN, properties: { first: HALF } });
  });

  it('[D5b] is `rejected` for the caller that waits, and the rest of its entry is applied', async () => {
    const address = await makeSpace(rig);
    const { drain } = openDrain(rig);
    const { spaceLog, options, settle } = openSpaceLog(rig, drain);
    const target = { ...address, actor: null };
    await spaceLog.commit(target, [{ op: 'put', id: 'x', properties: { first: HALF } }], options());
    const answer = await spaceLog.commit(
      target,
      [
        { op: 'put', id: 'y' },
        { op: 'patch', id: 'x', properties: { second: HALF } },
        { op: 'patch', id: 'x', name: 'kept' },
        { op: 'patch', id: 'none', name: 'n' },
      ],
      options(),
    );
    expect(answer).toMatchObject({
      status: 'committed',
      results: [
        { id: 'y', status: 'applied' },
        { id: 'x', status: 'rejected' },
        { id: 'x', status: 'applied' },
        { id: 'none', status: 'unknown_object' },
      ],
    });
    await settle();
    expect(await listLetters(address)).toHaveLength(1);
    expect(await rig.store.loadObjects(address, ['x', 'y'])).toMatchObject([
      { id: 'x', name: 'kept', properties: { first: HALF } },
      { id: 'y' },
    ]);
  });

  it('[D5c] is corrected for readers: an object that never existed, one that grew, an avatar', async () => {
    const address = await makeSpace(rig);
    await append(address, [
      { op: 'put', id: 'grown', name: 'g', properties: { first: HALF } },
      { op: 'user.patch', id: 'mia', position: { x: 1, y: 1, z: 1 }, properties: { first: HALF } },
    ]);
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    await append(address, [
      { op: 'patch', id: 'grown', name: 'bad', properties: { second: HALF } },
      { op: 'user.patch', id: 'mia', position: { x: 2, y: 2, z: 2 }, properties: { second: HALF } },
    ]);
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    expect(await listLetters(address)).toHaveLength(2);
    const { objects, avatars } = await loadState(rig, address);
    const seen = await readAsReader(address);
    expect(objects).toMatchObject([{ id: 'grown', name: 'g', properties: { first: HALF } }]);
    expect(seen.objects.get('grown')).toMatchObject({ name: 'g', properties: { first: HALF } });
    expect(avatars).toEqual([...seen.avatars.values()].map(({ seq, ...avatar }) => avatar));
  });

  it('[D5c] is corrected by one drain, also with many others that an earlier drain did not correct', async () => {
    const address = await makeSpace(rig);
    // An invalid reference, which our own checks would refuse.
    const ids = Array.from({ length: 120 }, (_, i) => idOf(i));
    await append(
      address,
      ids.map((id) => ({ op: 'put', id, parentId: 'a/b' })),
    );
    rig.neon.inject({ kind: 'refuse', match: 'find_objects' });
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    rig.neon.clear();
    expect(await rig.store.listUncorrected(address, 1_000)).toHaveLength(120);
    expect(await openDrain(rig).drain.drainSpace(address, BUDGET)).toMatchObject({ status: 'drained' });
    expect(await rig.store.listUncorrected(address, 1_000)).toEqual([]);
    expect((await readAsReader(address)).objects.size).toBe(0);
    expect(await isDirty(rig, address)).toBe(false);
  });

  it('removes no later write that came while the drain found it', async () => {
    const address = await makeSpace(rig);
    await append(address, [{ op: 'put', id: 'x', properties: { first: HALF } }]);
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    await append(address, [{ op: 'patch', id: 'x', properties: { second: HALF } }]);
    // Somebody moves the object between its batch and its correction.
    let moves = 0;
    const store = wrapStore<DrainStore>(rig.store, async (method, call) => {
      const answer = await call();
      if (method === 'loadObjects' && moves++ === 0)
        await append(address, [{ op: 'patch', id: 'x', position: { x: 5, y: 6, z: 7 } }], 'mia');
      return answer;
    });
    await openDrain(rig, { store }).drain.drainSpace(address, BUDGET);
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    expect(moves).toBeGreaterThan(0);
    const moved = { position: { x: 5, y: 6, z: 7 }, properties: { first: HALF } };
    expect(await rig.store.loadObjects(address, ['x'])).toMatchObject([moved]);
    expect((await readAsReader(address)).objects.get('x')).toMatchObject(moved);
    expect(await rig.store.listUncorrected(address, 10)).toEqual([]);
  });

  it('is corrected by the drain that found it, also if another caller waits before its end', async () => {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    let isFirst = true;
    const store = wrapStore<DrainStore>(rig.store, async (method, call) => {
      if (method === 'applyBatch' && isFirst) {
        isFirst = false;
        await append(address, [{ op: 'put', id: 'y' }]);
      }
      return call();
    });
    const other = openSpaceLog(rig, openDrain(rig).drain);
    // A rest here would let another drain take over.
    const pause = async () =>
      void (await other.spaceLog.commit(target, [{ op: 'put', id: 'z' }], other.options()));
    const { spaceLog, options, settle } = openSpaceLog(rig, openDrain(rig, { store, pause }).drain);
    const large = { first: HALF, second: HALF };
    await spaceLog.enqueue(target, [{ op: 'put', id: 'x', properties: large }], options());
    await settle();
    await other.settle();
    expect(await listLetters(address)).toHaveLength(1);
    expect(await rig.store.listUncorrected(address, 10)).toEqual([]);
  });

  it.each(['before', 'after'] as const)(
    'is one dead letter and is corrected, also if its drain is killed %s any call',
    async (when) => {
      for (let n = 1; ; n++) {
        const address = await makeSpace(rig);
        await append(address, [{ op: 'put', id: 'x', properties: { first: HALF } }]);
        await append(address, [{ op: 'patch', id: 'x', name: 'bad', properties: { second: HALF } }]);
        await append(address, [{ op: 'put', id: 'y' }]);
        const { drain } = openDrain(rig, killAt(rig, n, when));
        const outcome = await drain.drainSpace(address, BUDGET).catch(() => 'killed');
        await openDrain(rig).drain.drainSpace(address, BUDGET);
        expect(await listLetters(address)).toHaveLength(1);
        expect(await rig.store.listUncorrected(address, 10)).toEqual([]);
        const kept = { name: null, properties: { first: HALF } };
        const { objects } = await loadState(rig, address);
        expect(objects).toMatchObject([{ id: 'x', ...kept }, { id: 'y' }]);
        expect((await readAsReader(address)).objects.get('x')).toMatchObject(kept);
        expect(await isDirty(rig, address)).toBe(false);
        if (outcome !== 'killed') return;
      }
    },
  );
});

const ORIGIN = { x: 0, y: 0, z: 0 };
