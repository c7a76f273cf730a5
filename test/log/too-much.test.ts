import { describe, expect, it } from 'vitest';
import { PersistenceLayer } from '../../src/persistence-layer.ts';
import { AppError } from '../../src/world/errors.ts';
import { expectDrained, isDirty, loadState } from './fold.ts';
import { makeSpace, NO_DRAIN, openDrain, openSpaceLog, useRig } from './rig.ts';

const BUDGET = { budgetMs: 20_000 };
const rig = useRig();

describe('[D2] a batch that is too large', () => {
  it('[D2b] is made smaller until it is applied, and later batches grow again', async () => {
    const address = await makeSpace(rig);
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
    for (let i = 0; i < 100; i++)
      await spaceLog.enqueue({ ...address, actor: null }, [{ op: 'put', id: `o${i}` }], options());
    const sizes: number[] = [];
    const store: typeof rig.store = {
      ...rig.store,
      async applyBatch(at, batch) {
        sizes.push(batch.objects.length);
        if (batch.objects.length > 10)
          throw new AppError('store_unavailable', 'too long', { retrySmaller: true });
        return rig.store.applyBatch(at, batch);
      },
    };
    const { drain } = openDrain(rig, { store });
    expect(await drain.drainSpace(address, BUDGET)).toMatchObject({ status: 'drained', entries: 100 });
    expect(sizes.slice(0, 2)).toEqual([100, 12]);
    // After an applied batch the next is twice as large. After one that is too large, it is an eighth.
    expect(Math.max(...sizes.slice(1))).toBeLessThanOrEqual(24);
    await expectDrained(rig, address);
  });

  it('[D2a] fits in one request, whatever characters it has', async () => {
    const address = await makeSpace(rig);
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
    // Each character becomes eight on its way to Postgres. It is escaped as JSON, as an array element, and as JSON again.
    const note = '"\\'.repeat(16_000);
    for (let i = 0; i < 60; i++)
      await spaceLog.enqueue(
        { ...address, actor: null },
        [{ op: 'put', id: `o${i}`, properties: { note: note.slice(0, 31_000) } }],
        options(),
      );
    const { drain } = openDrain(rig);
    expect(await drain.drainSpace(address, BUDGET)).toMatchObject({ status: 'drained', entries: 60 });
    await expectDrained(rig, address);
  });
});

describe('[L7e] a world whose merge takes too long', () => {
  it('is retried for five minutes and then rejected, and the entries after it are applied', async () => {
    const address = await makeSpace(rig);
    let nowMs = Date.now();
    const { spaceLog, options, defer } = openSpaceLog(rig, NO_DRAIN, {
      now: () => {
        nowMs += 1_000;
        return nowMs;
      },
      pause: async () => undefined,
    });
    const layer = new PersistenceLayer(rig.world, { log: spaceLog, defer }, address);
    await expect(layer.saveWorldState({ objects: [{ id: 'x' }] }, { mode: 'merge' })).rejects.toMatchObject({
      code: 'write_queued',
    });
    await spaceLog.enqueue({ ...address, actor: null }, [{ op: 'put', id: 'y' }], options());

    let isThere = true;
    const store: typeof rig.store = {
      ...rig.store,
      async applyStage(...args) {
        if (isThere) throw new AppError('store_unavailable', 'too long', { retrySmaller: true });
        return rig.store.applyStage(...args);
      },
      async dropStage(...args) {
        await rig.store.dropStage(...args);
        isThere = false;
      },
    };
    await expect(openDrain(rig, { store }).drain.drainSpace(address, BUDGET)).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect(await isDirty(rig, address)).toBe(true);
    const { drain } = openDrain(rig, { store }, () => Date.now() + 301_000);
    expect(await drain.drainSpace(address, BUDGET)).toMatchObject({ status: 'drained', entries: 2 });
    expect((await loadState(rig, address)).objects).toMatchObject([{ id: 'y' }]);
    const { letters } = await rig.store.listDeadLetters(address.tenantId, 10, '');
    expect(letters).toMatchObject([{ op: { op: 'stage', mode: 'merge' } }]);
    expect(await isDirty(rig, address)).toBe(false);
  });
});

describe('[D4d] a called drain that fails', () => {
  it('asks for no other drain, because its caller retries; a drain that an append started asks', async () => {
    const address = await makeSpace(rig);
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
    await spaceLog.enqueue({ ...address, actor: null }, [{ op: 'put', id: 'o' }], options());
    const away = async () => {
      throw new AppError('store_unavailable', 'away');
    };
    const { drain, published } = openDrain(rig, { store: { ...rig.store, applyBatch: away } });
    await expect(drain.drainSpace(address, BUDGET)).rejects.toMatchObject({ code: 'store_unavailable' });
    await drain.sweep(BUDGET).catch(() => null);
    expect(published).toEqual([]);
    await expect(drain.run(address, { token: null, ...BUDGET })).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect(published).toHaveLength(1);
  });
});
