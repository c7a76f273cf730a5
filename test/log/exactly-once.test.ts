import { describe, expect, it } from 'vitest';
import type { DrainStore } from '../../src/log/log-stores.ts';
import type { Condition, Operation } from '../../src/world/operation.ts';
import { expectDrained } from './fold.ts';
import { killAt, makeSpace, NO_DRAIN, openDrain, openSpaceLog, type Rig, useRig, wrapStore } from './rig.ts';

const rig = useRig();

/**
 * A history whose state shows if a part of it was applied twice or not at all. It merges properties, and deletes an
 * object and creates it again. Its conditions hold only the first time.
 */
const HISTORY: Operation[][] = [
  [{ op: 'put', id: 'x', properties: { a: 1 } }],
  [{ op: 'patch', id: 'x', properties: { a: null, b: 1 } }],
  [{ op: 'put', id: 'x', name: 'first', ifSeq: 0 }],
  [{ op: 'delete', id: 'x' }],
  [{ op: 'put', id: 'x', name: 'second', ifSeq: 0 }],
  [{ op: 'patch', id: 'x', properties: { c: { d: 1 } } }],
  [{ op: 'user.patch', id: 'mia', position: { x: 1, y: 2, z: 3 } }],
];

/** The same without conditions. A drain asks Postgres nothing before it applies this, so only the transaction can protect it. */
const UNCONDITIONAL = HISTORY.map((ops) =>
  ops.map(({ ifSeq, ...op }: Operation & Condition) => op as Operation),
);

/** A space with the history in its log. No drain has started. */
async function makeBacklog(own: Rig, history = HISTORY) {
  const address = await makeSpace(own);
  const { spaceLog, options } = openSpaceLog(own, NO_DRAIN);
  for (const ops of history) await spaceLog.enqueue({ ...address, actor: 'mia' }, ops, options());
  return address;
}

/** Each batch is one entry, so that a drain can also end between any two entries. */
function byEntries(read: Rig['log']): Rig['log'] {
  return { ...read, read: (address, request) => read.read(address, { ...request, entriesMax: 1 }) };
}

describe('a log is applied exactly once', () => {
  it('[D1a] by several drains at the same time', async () => {
    const address = await makeBacklog(rig);
    const drains = [0, 1, 2].map(() => openDrain(rig, { log: byEntries(rig.log) }).drain);
    const reports = await Promise.all(drains.map((drain) => drain.drainSpace(address, { budgetMs: 60_000 })));
    const { entries } = await expectDrained(rig, address);
    // No entry was applied by two drains.
    expect(reports.reduce((sum, report) => sum + report.entries, 0)).toBe(entries.length);
  });

  it('[D1a] by a drain that slept while others continued', async () => {
    const address = await makeBacklog(rig);
    const { promise: woken, resolve: wake } = Promise.withResolvers<void>();
    const { promise: asleep, resolve: fallAsleep } = Promise.withResolvers<void>();
    const store = wrapStore<DrainStore>(rig.store, async (method, call) => {
      if (method === 'applyBatch') {
        fallAsleep();
        await woken;
      }
      return call();
    });
    const zombie = openDrain(rig, { store }).drain.run(address, { token: null, budgetMs: 60_000 });
    await asleep;
    await openDrain(rig).drain.drainSpace(address, { budgetMs: 60_000 });
    const { spaceLog, options } = openSpaceLog(rig, openDrain(rig).drain);
    await spaceLog.commit({ ...address, actor: null }, [{ op: 'put', id: 'x', name: 'third' }], options());
    wake();
    expect(await zombie).toMatchObject({ status: 'drained', operations: 0 });
    await expectDrained(rig, address);
  });

  it('[D1] by a drain whose reply is lost after COMMIT', async () => {
    const address = await makeBacklog(rig, UNCONDITIONAL);
    rig.neon.inject({ kind: 'drop-reply', match: 'apply_batch', times: 1 });
    const first = openDrain(rig);
    await expect(first.drain.run(address, { token: null, budgetMs: 60_000 })).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect(first.published).toEqual([{ ...address, delaySeconds: 5 }]);
    const report = await openDrain(rig).drain.drainSpace(address, { budgetMs: 60_000 });
    expect(report).toMatchObject({ status: 'drained', operations: 0 });
    await expectDrained(rig, address);
  });

  it('[D1] by a drain that loses the reply of every batch', async () => {
    const address = await makeBacklog(rig, UNCONDITIONAL);
    rig.neon.inject({ kind: 'drop-reply', match: 'apply_batch' });
    for (let i = 0; i < HISTORY.length; i++)
      await openDrain(rig, { log: byEntries(rig.log) })
        .drain.drainSpace(address, { budgetMs: 60_000 })
        .catch(() => undefined);
    rig.neon.clear();
    await openDrain(rig).drain.drainSpace(address, { budgetMs: 60_000 });
    await expectDrained(rig, address);
  });
});

describe('[D1a] another drain takes over after a drain was killed at any of its calls', () => {
  it.each(['before', 'after'] as const)('%s the call was run', async (when) => {
    for (let n = 1; ; n++) {
      const address = await makeBacklog(rig);
      const killed = killAt(rig, n, when);
      const { drain } = openDrain(rig, { ...killed, log: byEntries(killed.log) });
      const outcome = await drain.drainSpace(address, { budgetMs: 60_000 }).catch(() => 'killed');
      await openDrain(rig).drain.drainSpace(address, { budgetMs: 60_000 });
      await expectDrained(rig, address);
      if (outcome !== 'killed') {
        // The drain ended before its n-th call. At least one call must have been killed.
        expect(killed.count.calls).toBeLessThan(n);
        expect(n).toBeGreaterThan(HISTORY.length * 2);
        break;
      }
    }
  });
});
