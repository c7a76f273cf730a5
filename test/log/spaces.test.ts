import { describe, expect, it } from 'vitest';
import { DeadLetters } from '../../src/log/dead-letters.ts';
import type { LogAddress } from '../../src/log/log-stores.ts';
import { PersistenceLayer } from '../../src/persistence-layer.ts';
import { AppError } from '../../src/world/errors.ts';
import type { Operation } from '../../src/world/operation.ts';
import { Chance } from './chance.ts';
import { isDirty, loadState, readLog } from './fold.ts';
import { makeSpace, NO_DRAIN, openDrain, openSpaceLog, useRig } from './rig.ts';

const rig = useRig();
const BUDGET = { budgetMs: 60_000 };
/** An object has room for one of these, but not for two. */
const HALF = 'x'.repeat(40_000);

/** A separate process: it knows only the log positions that it has seen itself. */
function openNode(drains: 'drains' | 'never drains' = 'drains') {
  const log = rig.openLogStore();
  const { drain } = openDrain(rig, { log });
  const node = openSpaceLog(rig, drains === 'drains' ? drain : NO_DRAIN, { log });
  const openLayer = ({ tenantId, spaceId }: LogAddress) =>
    new PersistenceLayer(rig.world, { log: node.spaceLog, defer: node.defer }, { tenantId, spaceId });
  return {
    ...node,
    drain,
    openLayer,
    append: (address: LogAddress, ops: Operation[]) =>
      node.spaceLog.enqueue({ ...address, actor: null }, ops, node.options()),
  };
}

type Node = ReturnType<typeof openNode>;

async function idsIn(address: LogAddress) {
  const { objects } = await loadState(rig, address);
  return objects.map((object) => (object as { id: string }).id);
}

describe('[L1a] a space that was deleted with a backlog and created again', () => {
  it('shows nothing of its earlier content', async () => {
    const address = await makeSpace(rig);
    const [node, other, third] = [1, 2, 3].map(() => openNode('never drains')) as [Node, Node, Node];
    for (const each of [node, other, third]) await each.append(address, [{ op: 'put', id: 'old' }]);
    const layer = node.openLayer(address);
    await layer.deleteSpace('main');
    await expect(node.append(address, [{ op: 'put', id: 'late' }])).rejects.toMatchObject({
      code: 'not_found',
    });
    await layer.putSpace('main', { name: 'Again' });
    // The others still know the old incarnation: one finds it deleted, the other finds the new one instead.
    const { seq } = await other.append(address, [{ op: 'put', id: 'new' }]);
    const { seq: next } = await third.append(address, [{ op: 'put', id: 'newer' }]);
    await openNode().drain.drainSpace(address, BUDGET);
    expect(await idsIn(address)).toEqual(['new', 'newer']);
    const entries = await readLog(rig, address);
    expect(entries.map((entry) => entry.seq)).toEqual([seq, next]);
    expect(await isDirty(rig, address)).toBe(false);
  });

  it('refuses appends while it does not exist, also from processes that do not know that', async () => {
    const address = await makeSpace(rig);
    const [node, other] = [openNode('never drains'), openNode('never drains')];
    await other.append(address, [{ op: 'put', id: 'old' }]);
    await node.openLayer(address).deleteSpace('main');
    for (const each of [node, other, openNode('never drains')])
      await expect(each.append(address, [{ op: 'put', id: 'late' }])).rejects.toMatchObject({
        code: 'not_found',
      });
    expect(await isDirty(rig, address)).toBe(false);
    expect(await openNode().drain.drainSpace(address, BUDGET)).toMatchObject({ status: 'unknown_space' });
  });

  it('gets nothing from a drain that had read before the deletion', async () => {
    const address = await makeSpace(rig);
    const node = openNode('never drains');
    await node.append(address, [{ op: 'put', id: 'old' }]);
    const read = await rig.log.read(address, {
      after: null,
      token: null,
      bytesMax: 2 ** 20,
      entriesMax: 100,
    });
    const layer = node.openLayer(address);
    await layer.deleteSpace('main');
    await layer.putSpace('main', { name: 'Again' });
    const zombie = { ...rig.log, read: async () => read };
    const report = await openDrain(rig, { log: zombie }).drain.run(address, { token: null, ...BUDGET });
    expect(report).toMatchObject({ status: 'unknown_space', operations: 0 });
    expect(await idsIn(address)).toEqual([]);
    // And that drain ended nothing in the new incarnation.
    await node.append(address, [{ op: 'put', id: 'new' }]);
    await openNode().drain.drainSpace(address, BUDGET);
    expect(await idsIn(address)).toEqual(['new']);
  });

  it('loses none of its acknowledged writes, although Redis did not get the deletion', async () => {
    const address = await makeSpace(rig);
    const node = openNode('never drains');
    await node.append(address, [{ op: 'put', id: 'old' }]);
    const layer = node.openLayer(address);
    rig.upstash.inject({ kind: 'refuse' });
    await expect(layer.deleteSpace('main')).rejects.toMatchObject({ code: 'store_unavailable' });
    rig.upstash.clear();
    await layer.putSpace('main', { name: 'Again' });
    await node.append(address, [{ op: 'put', id: 'new' }]);
    await openNode().drain.drainSpace(address, BUDGET);
    await openNode().drain.drainSpace(address, BUDGET);
    expect(await idsIn(address)).toEqual(['new']);
  });

  it('gets no correction for dead letters of its previous incarnation', async () => {
    const address = await makeSpace(rig);
    const node = openNode('never drains');
    await node.append(address, [{ op: 'put', id: 'x', properties: { first: HALF } }]);
    await openNode().drain.drainSpace(address, BUDGET);
    await node.append(address, [
      { op: 'patch', id: 'x', properties: { second: HALF } },
      { op: 'put', id: 'old', parentId: 'a/b' } as Operation,
    ]);
    // The drain ends before it corrects that.
    rig.neon.inject({ kind: 'refuse', match: 'find_objects' });
    await openNode().drain.drainSpace(address, BUDGET);
    rig.neon.clear();
    expect(await rig.store.listUncorrected(address, 10)).toHaveLength(2);
    const layer = node.openLayer(address);
    await layer.deleteSpace('main');
    await layer.putSpace('main', { name: 'Again' });
    const { seq } = await node.append(address, [{ op: 'put', id: 'x' }]);
    for (let i = 0; i < 2; i++) await openNode().drain.drainSpace(address, BUDGET);
    expect((await readLog(rig, address)).map((entry) => entry.seq)).toEqual([seq]);
    expect(await rig.store.loadObjects(address, ['x'])).toMatchObject([{ seq, updatedBy: null }]);
  });

  it('gets no replay of a dead letter of its previous incarnation', async () => {
    const address = await makeSpace(rig);
    const node = openNode();
    const commit = (ops: Operation[]) =>
      node.spaceLog.commit({ ...address, actor: null }, ops, node.options());
    await commit([{ op: 'put', id: 'x', properties: { first: HALF } }]);
    await commit([{ op: 'patch', id: 'x', properties: { second: HALF } }]);
    await node.settle();
    const { letters } = await rig.store.listDeadLetters(address.tenantId, 10, '');
    const layer = node.openLayer(address);
    await layer.deleteSpace('main');
    await layer.putSpace('main', { name: 'Again' });
    await commit([{ op: 'put', id: 'x' }]);
    const deadLetters = new DeadLetters(rig.store, node.spaceLog);
    await expect(
      deadLetters.replay(address.tenantId, letters[0]?.id ?? '', { defer: node.defer }),
    ).rejects.toMatchObject({ code: 'conflict' });
    expect(await rig.store.loadObjects(address, ['x'])).toMatchObject([{ properties: {} }]);
  });

  it('writes an append again that was sent to its previous incarnation under the same key', async () => {
    const address = await makeSpace(rig);
    const node = openNode('never drains');
    const target = { ...address, actor: null };
    const first = await node.spaceLog.enqueue(target, [{ op: 'put', id: 'x' }], node.options('k'));
    const layer = node.openLayer(address);
    await layer.deleteSpace('main');
    await layer.putSpace('main', { name: 'Again' });
    const again = await node.spaceLog.enqueue(target, [{ op: 'put', id: 'x' }], node.options('k'));
    expect(again.seq).toBeGreaterThan(first.seq);
    await openNode().drain.drainSpace(address, BUDGET);
    expect(await idsIn(address)).toEqual(['x']);
  });
});

describe('[L1a] spaces that are deleted and created during appends and drains', () => {
  it.each([1, 2, 3])('show only the writes of the last incarnation (seed %i)', async (seed) => {
    const address = await makeSpace(rig);
    let life = 0;
    // The acknowledged writes, by the life of the space in which they were sent; null: either is possible.
    const acknowledged: { id: string; life: number | null }[] = [];
    const writers = Array.from({ length: 3 }, async (_, writer) => {
      const chance = new Chance(seed * 100 + writer);
      const kind = chance.pick(['drains', 'never drains'] as const);
      const node = openNode(kind);
      for (let step = 0; step < 12; step++) {
        const id = `w${writer}-${step}`;
        const before = life;
        try {
          if (chance.is(0.3) && kind === 'drains')
            await node.spaceLog.commit({ ...address, actor: null }, [put(id)], node.options());
          else await node.append(address, [put(id)]);
          acknowledged.push({ id, life: before === life && before % 2 === 0 ? before : null });
        } catch (error) {
          if (!(error instanceof AppError) || !['not_found', 'store_unavailable'].includes(error.code))
            throw error;
        }
      }
      await node.settle();
    });
    const deleter = (async () => {
      const layer = openNode().openLayer(address);
      for (let i = 0; i < 3; i++) {
        life++;
        await layer.deleteSpace('main');
        await layer.putSpace('main', { name: 'Again' });
        life++;
        await openNode().append(address, [put(`life-${life}`)]);
        acknowledged.push({ id: `life-${life}`, life });
      }
    })();
    await Promise.all([...writers, deleter]);
    await openNode().drain.drainSpace(address, BUDGET);
    const there = new Set(await idsIn(address));
    for (const { id, life: of } of acknowledged) {
      if (of === life) expect(there, id).toContain(id);
      if (of !== null && of < life) expect(there, id).not.toContain(id);
    }
    const entries = await readLog(rig, address);
    expect(entries.flatMap(({ ops }) => ops.map(({ id }) => id)).toSorted()).toEqual([...there].toSorted());
    expect(await isDirty(rig, address)).toBe(false);
  });
});

function put(id: string): Operation {
  return { op: 'put', id };
}
