import { describe, expect, it } from 'vitest';
import type { DrainStore } from '../../src/log/log-stores.ts';
import { expectDrained } from './fold.ts';
import { makeSpace, NO_DRAIN, openDrain, openSpaceLog, useRig, wrapStore } from './rig.ts';

const rig = useRig();
const SHORT_MS_MAX = 100;
const PUT = [{ op: 'put' as const, id: 'x' }];

/** A clock that short pauses move forward immediately. A long pause ends when the clock reaches its time. */
function makeClock() {
  let nowMs = Date.now();
  const sleeping = new Set<{ untilMs: number; wake: () => void }>();
  return {
    now: () => nowMs,
    async pause(ms: number): Promise<void> {
      if (ms > SHORT_MS_MAX) {
        const { promise, resolve } = Promise.withResolvers<void>();
        sleeping.add({ untilMs: nowMs + ms, wake: resolve });
        return promise;
      }
      nowMs += ms;
      for (const { untilMs, wake } of sleeping) if (untilMs <= nowMs) wake();
    },
  };
}

describe('[D8] a caller that waits for the commit', () => {
  it('[D8c] gets the status of each operation', async () => {
    const address = await makeSpace(rig);
    const { spaceLog, options, settle } = openSpaceLog(rig, openDrain(rig).drain);
    const target = { ...address, actor: null };
    await spaceLog.commit(target, PUT, options());
    const answer = await spaceLog.commit(
      target,
      [
        { op: 'patch', id: 'x', name: 'n' },
        { op: 'put', id: 'x', ifSeq: 0 },
        { op: 'delete', id: 'none' },
        { op: 'user.patch', id: 'stranger' },
        { op: 'user.patch', id: 'mia' },
      ],
      options(),
    );
    const statuses = ['applied', 'conflict', 'unknown_object', 'unknown_object', 'applied'];
    expect(answer).toMatchObject({
      status: 'committed',
      accepted: 5,
      results: statuses.map((status) => ({ status })),
    });
    await settle();
    await expectDrained(rig, address);
  });

  it('[D8f] gets `unknown_object` from the batch itself, without another question to Postgres', async () => {
    const address = await makeSpace(rig);
    const calls: string[] = [];
    const store = wrapStore<DrainStore>(rig.store, async (method, call) => {
      calls.push(method);
      return call();
    });
    const { spaceLog, options, settle } = openSpaceLog(rig, openDrain(rig, { store }).drain);
    const target = { ...address, actor: null };
    await spaceLog.commit(target, PUT, options());
    const move = (...ids: string[]) =>
      spaceLog.commit(
        target,
        ids.map((id) => ({ op: 'patch' as const, id, position: { x: 1 } })),
        options(),
      );
    expect(await move('x', 'x')).toMatchObject({ results: [{ status: 'applied' }, { status: 'applied' }] });
    expect(calls).toEqual(['applyBatch', 'applyBatch']);
    expect(await move('x', 'none')).toMatchObject({
      results: [
        { id: 'x', status: 'applied' },
        { id: 'none', status: 'unknown_object' },
      ],
    });
    expect(calls.slice(2)).toEqual(['applyBatch']);
    await settle();
    await expectDrained(rig, address);
  });

  it('[D8b] gets `queued` after 8 s, and the write is still committed', async () => {
    const address = await makeSpace(rig);
    const clock = makeClock();
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN, clock);
    const before = clock.now();
    const answer = await spaceLog.commit({ ...address, actor: null }, PUT, options());
    expect(answer).toMatchObject({ status: 'queued', accepted: 1 });
    expect(clock.now() - before).toBeGreaterThanOrEqual(8_000);
    await openDrain(rig).drain.drainSpace(address, { budgetMs: 60_000 });
    await expectDrained(rig, address);
  });

  it('[D8a] drains itself if the drain with the claim is dead', async () => {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    // This process has the claim but never drains.
    const dead = openSpaceLog(rig, NO_DRAIN, makeClock());
    expect(await dead.spaceLog.commit(target, PUT, dead.options())).toMatchObject({ status: 'queued' });
    const { spaceLog, options, settle } = openSpaceLog(rig, openDrain(rig).drain);
    const answer = await spaceLog.commit(target, [{ op: 'patch', id: 'x', name: 'n' }], options());
    expect(answer).toMatchObject({ status: 'committed', results: [{ id: 'x', status: 'applied' }] });
    await settle();
    await expectDrained(rig, address);
  });

  it('drains again if its own drain failed', async () => {
    const address = await makeSpace(rig);
    let tries = 0;
    const { drain } = openDrain(rig);
    const { spaceLog, options } = openSpaceLog(
      rig,
      {
        async run(space, run) {
          if (++tries < 3) throw new Error('it died');
          return drain.run(space, run);
        },
      },
      makeClock(),
    );
    const answer = await spaceLog.commit({ ...address, actor: null }, PUT, options());
    expect(answer).toMatchObject({ status: 'committed', results: [{ id: 'x', status: 'applied' }] });
    // A drain that takes long is not the only one.
    expect(tries).toBeGreaterThanOrEqual(3);
  });

  it('gets the result although the reply of its own drain was lost', async () => {
    const address = await makeSpace(rig);
    const { spaceLog, options, settle } = openSpaceLog(rig, openDrain(rig).drain);
    rig.neon.inject({ kind: 'drop-reply', match: 'apply_batch', times: 1 });
    const answer = await spaceLog.commit({ ...address, actor: null }, PUT, options());
    expect(answer).toMatchObject({ status: 'committed', results: [{ id: 'x', status: 'applied' }] });
    await settle();
    await openDrain(rig).drain.drainSpace(address, { budgetMs: 60_000 });
    await expectDrained(rig, address);
  });

  it('gets the result that another drain has stored', async () => {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    // One drain for many callers: the others read their results from Postgres.
    const logs = Array.from({ length: 6 }, () => openSpaceLog(rig, openDrain(rig).drain));
    const answers = await Promise.all(
      logs.map(({ spaceLog, options }, i) =>
        spaceLog.commit(target, [{ op: 'put', id: 'only', name: `${i}`, ifSeq: 0 }], options()),
      ),
    );
    for (const { settle } of logs) await settle();
    const statuses = answers.map((answer) =>
      answer.status === 'committed' ? answer.results[0]?.status : null,
    );
    expect(statuses.toSorted()).toEqual(['applied', ...Array(5).fill('conflict')]);
    await expectDrained(rig, address);
  });

  it('[D8b] gets `queued`, not an error, while Postgres is away', async () => {
    const address = await makeSpace(rig);
    const { spaceLog, options, settle } = openSpaceLog(rig, openDrain(rig).drain);
    const target = { ...address, actor: null };
    await spaceLog.commit(target, PUT, options());
    rig.neon.inject({ kind: 'refuse' });
    const answer = await spaceLog.commit(target, [{ op: 'delete', id: 'x' }], options());
    expect(answer).toMatchObject({ status: 'queued' });
    await settle();
    rig.neon.clear();
    await openDrain(rig).drain.drainSpace(address, { budgetMs: 60_000 });
    await expectDrained(rig, address);
  });

  it('does not get `committed` if the space was deleted and created again meanwhile', async () => {
    const address = await makeSpace(rig);
    const { tenantId, spaceId } = address;
    const { spaceLog, options } = openSpaceLog(
      rig,
      {
        async run() {
          const deleted = await rig.store.deleteSpace(address);
          await rig.log.retire(address, deleted?.incarnation ?? '');
          await rig.world.putSpace(tenantId, spaceId, { name: 'Again' }, deleted?.incarnation);
          throw new Error('it died');
        },
      },
      makeClock(),
    );
    const answer = spaceLog.commit({ ...address, actor: null }, PUT, options());
    await expect(answer).rejects.toMatchObject({ code: 'store_unavailable' });
  });
});

describe('[D8] a waiting write', () => {
  it('is answered although the drain continues with later entries', async () => {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    let batches = 0;
    const store = wrapStore<DrainStore>(rig.store, async (method, call) => {
      if (method === 'applyBatch' && ++batches === 2) await held;
      if (method === 'applyBatch' && batches === 1) await behind();
      return call();
    });
    const { spaceLog, options, settle } = openSpaceLog(rig, openDrain(rig, { store }).drain);
    const behind = () => spaceLog.enqueue(target, [{ op: 'put', id: 'y' }], options());
    const answer = await spaceLog.commit(target, PUT, options());
    expect(answer).toMatchObject({ status: 'committed' });
    letGo();
    await settle();
    await expectDrained(rig, address);
  });
});
