import { afterEach, describe, expect, it } from 'vitest';
import type { LogAddress } from '../../src/log/log-stores.ts';
import { logKey } from '../../src/redis/keys.ts';
import { createLogStore } from '../../src/redis/log.ts';
import { expectDrained, readLog } from './fold.ts';
import { makeSpace, NO_DRAIN, openDrain, openSpaceLog, useRig } from './rig.ts';

const rig = useRig();
const BUDGET = { budgetMs: 60_000 };
const PUT = [{ op: 'put' as const, id: 'x' }];

describe('a Redis', () => {
  afterEach(async () => {
    await configure('maxmemory', '0');
    await configure('maxmemory-policy', 'noeviction');
  });
  const configure = (name: string, value: string) => rig.admin.command('CONFIG', 'SET', name, value);

  it('that is full refuses appends and writes nothing, allows drains, and later accepts appends again', async () => {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
    await spaceLog.enqueue(target, PUT, options());
    const before = await readLog(rig, address);
    await configure('maxmemory', '1');
    await expect(spaceLog.enqueue(target, PUT, options('k'))).rejects.toMatchObject({
      code: 'store_unavailable',
      message: 'Redis is full: nothing was written.',
    });
    expect(await readLog(rig, address)).toEqual(before);
    expect(await openDrain(rig).drain.sweep(BUDGET)).toMatchObject({ spaces: 1, left: 0 });
    await expectDrained(rig, address);
    await configure('maxmemory', '0');
    await spaceLog.enqueue(target, [{ op: 'delete', id: 'x' }], options('k'));
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    const { entries } = await expectDrained(rig, address);
    expect(entries).toHaveLength(2);
  });

  it('that is full does not stop a drain with a dead letter: the correction comes when there is room', async () => {
    const address = await makeSpace(rig);
    const half = 'x'.repeat(40_000);
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
    for (const key of ['first', 'second'])
      await spaceLog.enqueue(
        { ...address, actor: null },
        [
          key === 'first'
            ? { op: 'put', id: 'x', properties: { first: half } }
            : { op: 'patch', id: 'x', properties: { second: half } },
        ],
        options(),
      );
    await configure('maxmemory', '1');
    const { drain, told } = openDrain(rig);
    expect(await drain.drainSpace(address, BUDGET)).toMatchObject({ status: 'drained' });
    expect(told.map(({ event }) => event)).toContain('correction_failed');
    expect(await rig.store.listUncorrected(address, 10)).toHaveLength(1);
    await configure('maxmemory', '0');
    await drain.drainSpace(address, BUDGET);
    expect(await rig.store.listUncorrected(address, 10)).toEqual([]);
    expect(await rig.store.loadObjects(address, ['x'])).toMatchObject([{ properties: { first: half } }]);
  });

  it('that evicts gets no more entries, and its entries are drained', async () => {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    const before = openSpaceLog(rig, NO_DRAIN);
    await before.spaceLog.enqueue(target, PUT, before.options());
    await configure('maxmemory-policy', 'allkeys-lru');
    // Over TCP: the REST interface of Redis does not report the policy.
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN, { log: createLogStore(rig.admin) });
    await expect(spaceLog.enqueue(target, PUT, options())).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect(await readLog(rig, address)).toHaveLength(1);
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    await expectDrained(rig, address);
  });
});

describe('[D6] a log is trimmed', () => {
  const windows = [
    { by: 'entries', window: { replayWindowEntriesMax: 2 } },
    { by: 'bytes', window: { replayWindowBytesMax: 50 } },
    { by: 'age', window: { replayWindowMsMax: 0 } },
  ];
  it.each(windows)('by its $by, but only up to the cursor', async ({ window }) => {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    const log = rig.openLogStore(window);
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN, { log });
    for (let i = 0; i < 6; i++) await spaceLog.enqueue(target, [{ op: 'put', id: `o${i}` }], options());
    const entries = await readLog(rig, address);
    const third = entries[2]?.seq ?? 0;
    const settle = {
      incarnation: (await rig.store.loadCursor(address))?.incarnation ?? '',
      token: null,
      next: 'stop' as const,
      operations: 0,
      entries: 0,
      bytes: 0,
      latencyMsSum: 0,
    };
    await log.settle(address, { ...settle, committed: third });
    // No uncommitted entry is trimmed, however small the window is.
    const left = await readLog(rig, address);
    expect(left.slice(-3)).toEqual(entries.slice(-3));
    expect(left.length).toBeLessThanOrEqual(4);
  });

  it('completely, by its expiry, if its space is quiet and no entry is pending', async () => {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    const log = rig.openLogStore({ replayWindowMsMax: 60_000 });
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN, { log });
    await spaceLog.enqueue(target, PUT, options());
    expect(await expiry(address)).toBe(-1);
    await openDrain(rig, { log }).drain.drainSpace(address, BUDGET);
    const ttl = await expiry(address);
    expect(ttl).toBeGreaterThan(0);
    expect(ttl).toBeLessThanOrEqual(60);
    await spaceLog.enqueue(target, PUT, options());
    expect(await expiry(address)).toBe(-1);
    // It has expired, and the next append continues after it.
    await openDrain(rig, { log }).drain.drainSpace(address, BUDGET);
    const cursor = (await rig.store.loadCursor(address))?.cursor ?? 0;
    await rig.admin.command('PEXPIRE', await findKey(address), '0');
    const { seq } = await spaceLog.enqueue(target, [{ op: 'put', id: 'next' }], options());
    expect(seq).toBeGreaterThan(cursor);
    await openDrain(rig, { log }).drain.drainSpace(address, BUDGET);
    expect((await rig.store.loadObjects(address, ['x', 'next'])).map(({ id }) => id)).toEqual(['x', 'next']);
  });

  async function findKey(address: LogAddress) {
    return logKey(address, (await rig.store.loadCursor(address))?.incarnation ?? '');
  }
  async function expiry(address: LogAddress) {
    return Number(await rig.admin.command('TTL', await findKey(address)));
  }
});
