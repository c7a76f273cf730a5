import { describe, expect, it, vi } from 'vitest';
import type { Batch } from '../world/batch.ts';
import type { Seq } from '../world/types.ts';
import {
  ADDRESS,
  away,
  BUDGET,
  makeDead,
  makeDrain,
  meanwhile,
  START,
  tooMuch,
} from './testing/memory-stores.ts';

const STAGE = { op: 'stage', id: 'stage-1', mode: 'merge' } as const;
const STAGE_TRIED_MS = 300_000;

describe('[D5] an operation that Postgres cannot keep', () => {
  /** Its log holds one such operation among two others. */
  function makePoisoned() {
    const deps = makeDrain();
    deps.world.unkeepable.add('bad');
    deps.put('a');
    deps.put('bad');
    deps.put('b');
    return deps;
  }

  it('is retried alone, and the other operations stay in one batch', async () => {
    const { batches, drain } = makePoisoned();
    await drain.drainSpace(ADDRESS, BUDGET);
    const parts = batches().map(({ objects, singles }) => [
      objects.map(({ id }) => id),
      singles.map(({ op }) => op.id),
    ]);
    expect(parts).toEqual([
      [['a', 'bad', 'b'], []],
      [['a', 'b'], ['bad']],
      [['bad'], []],
    ]);
  });

  it('becomes a dead letter, and the drain appends the state that Postgres has instead', async () => {
    const { log, told, world, redis, drain } = makePoisoned();
    const end = log.last;
    expect(await drain.drainSpace(ADDRESS, BUDGET)).toMatchObject({ status: 'drained', operations: 4 });
    expect(told).toEqual([{ event: 'dead_letters', address: ADDRESS, count: 1 }]);
    const correction = {
      actor: 'worldkeep',
      entries: [{ ops: '[{"op":"delete","id":"bad"}]', count: 1 }],
      endsAt: end,
    };
    expect(redis.append.mock.calls).toMatchObject([[ADDRESS, correction]]);
    expect(world.uncorrected).toEqual([]);
  });

  it('is corrected after a write that came before the correction', async () => {
    const { put, postgres, log, world, drain } = makePoisoned();
    meanwhile(postgres.loadObjects, () => put('late'));
    expect(await drain.drainSpace(ADDRESS, BUDGET)).toMatchObject({ status: 'drained' });
    expect(log.entries.slice(3).map(({ ops }) => ops)).toEqual([
      '[{"op":"put","id":"late"}]',
      '[{"op":"delete","id":"bad"}]',
    ]);
    expect(world.uncorrected).toEqual([]);
  });

  it('is left to a later drain, by QStash, when its correction fails', async () => {
    const { postgres, told, world, publishDrain, runElected } = makePoisoned();
    postgres.loadObjects.mockRejectedValueOnce(away());
    expect(await runElected()).toMatchObject({ status: 'drained', operations: 3 });
    expect(told.map(({ event }) => event)).toEqual(['dead_letters', 'correction_failed']);
    expect(world.uncorrected).toHaveLength(1);
    expect(publishDrain).toHaveBeenCalledTimes(1);
  });

  it('is corrected by the next drain when the last one did not correct it', async () => {
    const { world, redis, drain } = makeDrain();
    world.uncorrected.push(makeDead('left'));
    expect(await drain.drainSpace(ADDRESS, BUDGET)).toMatchObject({ status: 'drained', operations: 1 });
    expect(redis.append.mock.calls[0]?.[1].entries).toEqual([
      { ops: '[{"op":"delete","id":"left"}]', count: 1 },
    ]);
    expect(world.uncorrected).toEqual([]);
  });

  it('is corrected together with the dead letters that earlier drains left', async () => {
    const { world, runElected } = makePoisoned();
    world.uncorrected.push(makeDead('left'));
    expect(await runElected()).toMatchObject({ status: 'drained', operations: 5 });
    expect(world.uncorrected).toEqual([]);
  });

  it('does not hold up new writes when the drain cannot list the uncorrected ones', async () => {
    const { put, told, postgres, drain } = makeDrain();
    put('a');
    postgres.listUncorrected.mockRejectedValueOnce(away());
    expect(await drain.drainSpace(ADDRESS, BUDGET)).toMatchObject({ status: 'drained', operations: 1 });
    expect(told).toMatchObject([{ event: 'correction_failed' }]);
  });

  it('stops the drain when the batch still fails in the fifth round', async () => {
    const { put, postgres, batches, drain } = makeDrain();
    put('a');
    postgres.applyBatch.mockResolvedValue({
      status: 'poisoned',
      objectIds: [],
      userIds: ['mia'],
      messageIds: [],
    });
    await expect(drain.drainSpace(ADDRESS, BUDGET)).rejects.toMatchObject({ code: 'internal' });
    expect(batches()).toHaveLength(5);
  });
});

describe('[L2b] a log that has lost entries', () => {
  it('[L8b] is drained past the gap, records a log_gap incident once, and is broken for its readers', async () => {
    const { put, log, redis, told, batches, drain } = makeDrain();
    put('a');
    const prev = put('lost');
    const next = put('c');
    log.entries.splice(1, 1);
    expect(await drain.drainSpace(ADDRESS, BUDGET)).toMatchObject({ status: 'drained', entries: 2 });
    expect(redis.tear.mock.calls).toEqual([[ADDRESS, { incarnation: 'one', after: prev - 1, to: prev }]]);
    expect(log.last).toBeGreaterThan(next);
    expect(batches()).toMatchObject([
      { to: next, incidents: [{ kind: 'log_gap', detail: { after: prev - 1, prev, next } }] },
      { from: next, to: log.last, objects: [], incidents: [] },
    ]);
    expect(told).toEqual([{ event: 'drain_incident', address: ADDRESS, kind: 'log_gap' }]);
  });

  it('is drained to its end when it lost the last entries', async () => {
    const { put, log, redis, batches, drain } = makeDrain();
    const last = put('lost');
    log.entries.pop();
    expect(await drain.drainSpace(ADDRESS, BUDGET)).toMatchObject({ status: 'drained', entries: 0 });
    expect(batches()).toMatchObject([
      {
        from: START,
        to: log.last,
        incidents: [{ kind: 'log_gap', detail: { after: START, prev: last, next: null } }],
      },
    ]);
    expect(redis.tear).not.toHaveBeenCalled();
  });

  it('[L8e] records a break behind a cursor of Postgres as a lost log', async () => {
    const { log, redis, batches, drain } = makeDrain();
    log.last += 1;
    log.tear = { at: log.last, why: 'behind', lostTo: log.last };
    expect(await drain.drainSpace(ADDRESS, BUDGET)).toMatchObject({ status: 'drained', seq: log.last });
    const incidents = [{ kind: 'log_lost', detail: { durableSeq: START } }];
    expect(batches()).toMatchObject([{ from: START, to: log.last, incidents }]);
    expect(redis.tear).not.toHaveBeenCalled();
  });

  it('[L8f] records that Redis restarted with the last entry that waited, and once', async () => {
    const { put, log, redis, batches, drain } = makeDrain();
    put('a');
    log.restartedAt = put('b');
    put('c');
    log.readMax = 1;
    await drain.drainSpace(ADDRESS, BUDGET);
    const incidents = [{ kind: 'redis_restarted', detail: { after: log.restartedAt } }];
    expect(batches()).toMatchObject([{ incidents: [] }, { incidents }, { incidents: [] }]);
    expect(redis.tear).not.toHaveBeenCalled();
  });

  it('is no incident when another drain has already committed past the gap', async () => {
    const { put, log, world, told, drain } = makeDrain();
    put('lost');
    world.cursor = put('a');
    log.entries.shift();
    const seq = put('b');
    expect(await drain.drainSpace(ADDRESS, BUDGET)).toMatchObject({ status: 'drained', seq });
    expect(told).toEqual([]);
  });
});

describe('[L4f] a space that Redis has forgotten', () => {
  it('is opened again at the cursor of Postgres, and the entries that survived are committed', async () => {
    const { put, log, postgres, takeCalls, runElected } = makeDrain();
    const seq = put('a');
    log.status = 'cold';
    expect(await runElected()).toMatchObject({ status: 'drained', entries: 1, seq });
    expect(postgres.openLog.mock.calls).toEqual([[ADDRESS, { instance: 'redis-1', isLogAbsent: true }]]);
    const opening = ['read', 'loadCursor', 'append', 'readInstance', 'openLog', 'append'];
    expect(takeCalls()).toEqual([...opening, 'read', 'applyBatch', 'settle']);
  });

  it('is not opened when it was never written through a log', async () => {
    const { log, world, takeCalls, runElected } = makeDrain();
    log.status = 'cold';
    world.isLogOpen = false;
    expect(await runElected()).toMatchObject({ status: 'drained', seq: null });
    expect(takeCalls()).toEqual(['read', 'loadCursor']);
  });

  it('is opened at most once by a drain', async () => {
    const { put, redis, runElected } = makeDrain();
    put('a');
    for (let i = 0; i < 3; i++) redis.read.mockResolvedValueOnce({ status: 'cold' });
    expect(await runElected()).toMatchObject({ status: 'drained', seq: null });
    expect(redis.read).toHaveBeenCalledTimes(2);
  });
});

describe('[L7] a staged world', () => {
  it('is applied in its place in the order, in a step of its own', async () => {
    const { put, add, takeCalls, drain, postgres } = makeDrain();
    const from = put('a');
    const to = add([STAGE], { actor: 'mia' });
    put('b');
    expect(await drain.run(ADDRESS, { token: null, ...BUDGET })).toMatchObject({ operations: 3, batches: 3 });
    expect(postgres.applyStage.mock.calls).toMatchObject([
      [ADDRESS, { from, to, stageId: 'stage-1', mode: 'merge', actor: 'mia' }],
    ]);
    expect(takeCalls().filter((name) => name.startsWith('apply'))).toEqual([
      'applyBatch',
      'applyStage',
      'applyBatch',
    ]);
  });

  it('is applied while the renewer invalidates what else shows its people and models', async () => {
    const { add, drain, postgres } = makeDrain();
    const steps: string[] = [];
    drain.setSnapshotRenewer({
      renew: async () => undefined,
      async invalidateWhile(tenantId, write) {
        steps.push(`begins ${tenantId}`);
        const written = await write();
        steps.push('ends');
        return written;
      },
    });
    meanwhile(postgres.applyStage, () => steps.push('applied'));
    add([STAGE]);
    await drain.drainSpace(ADDRESS, BUDGET);
    expect(steps).toEqual(['begins t', 'applied', 'ends']);
  });

  it('becomes a dead letter when Postgres cannot keep it', async () => {
    const { add, postgres, told, world, drain } = makeDrain();
    add([STAGE]);
    postgres.applyStage.mockImplementationOnce(async (_, { to }) => {
      world.cursor = to;
      return { status: 'dead', dead: makeDead('stage-1', { kind: 'stage' }) };
    });
    expect(await drain.drainSpace(ADDRESS, BUDGET)).toMatchObject({ status: 'drained' });
    expect(told).toEqual([{ event: 'dead_letters', address: ADDRESS, count: 1 }]);
  });

  it('is not given up while Postgres answers nothing else either', async () => {
    const { add, clock, postgres, drain } = makeDrain();
    add([STAGE]);
    await clock.pass(STAGE_TRIED_MS + 1);
    postgres.applyStage.mockRejectedValueOnce(tooMuch());
    postgres.loadCursor.mockRejectedValueOnce(away());
    await expect(drain.drainSpace(ADDRESS, BUDGET)).rejects.toMatchObject({ retrySmaller: false });
    expect(postgres.dropStage).not.toHaveBeenCalled();
  });

  it.each([
    ['is retried later', 'while it is at most five minutes old', STAGE_TRIED_MS, 1, 0],
    ['is given up', 'once it is older than five minutes', STAGE_TRIED_MS + 1, 3, 1],
  ])('that takes too long to apply %s %s', async (_, __, ageMs, tries, drops) => {
    const { add, clock, postgres, drain } = makeDrain();
    add([STAGE]);
    await clock.pass(ageMs);
    postgres.applyStage.mockRejectedValueOnce(tooMuch()).mockRejectedValueOnce(tooMuch());
    const status = await drain.drainSpace(ADDRESS, BUDGET).then(
      (report) => report.status,
      ({ retrySmaller }) => retrySmaller,
    );
    expect(status).toBe(drops === 1 ? 'drained' : true);
    expect(postgres.applyStage).toHaveBeenCalledTimes(tries);
    expect(postgres.dropStage).toHaveBeenCalledTimes(drops);
  });
});

describe('[D8] the results of a batch', () => {
  /** Records the results that a drain tells, batch by batch. */
  function makeListener() {
    const heard: { results: Batch['results']; to: Seq }[] = [];
    return { heard, onResults: (results: Batch['results'], to: Seq) => void heard.push({ results, to }) };
  }

  it('reach the waiting caller as soon as the batch has committed', async () => {
    const { put, log, redis, runElected } = makeDrain();
    const { heard, onResults } = makeListener();
    log.readMax = 1;
    const seq = put('a', true);
    put('b');
    const heardAtSettle: number[] = [];
    meanwhile(redis.settle, () => heardAtSettle.push(heard.length));
    await runElected({ onResults });
    expect(heard[0]).toEqual({ results: [{ seq, results: [{ id: 'a', status: 'applied' }] }], to: seq });
    expect(heardAtSettle).toEqual([1]);
  });

  it('are not told when operations were applied one by one: the caller reads them in Postgres', async () => {
    const { put, world, runElected } = makeDrain();
    const { heard, onResults } = makeListener();
    world.unkeepable.add('bad');
    const seq = put('bad', true);
    await runElected({ onResults });
    expect(heard[0]).toEqual({ results: [], to: seq });
  });

  it('presume that a patched object exists, so that Postgres is called once', async () => {
    const { add, world, takeCalls, runElected } = makeDrain();
    const { heard, onResults } = makeListener();
    world.objects.set('a', START);
    const seq = add([{ op: 'patch', id: 'a', name: 'n' }], { waits: true });
    await runElected({ onResults });
    expect(takeCalls()).toEqual(['read', 'applyBatch', 'settle']);
    expect(heard).toEqual([{ results: [{ seq, results: [{ id: 'a', status: 'applied' }] }], to: seq }]);
  });

  it('say unknown_object where Postgres finds that a patched object does not exist, without a second call', async () => {
    const { add, takeCalls, runElected } = makeDrain();
    const { heard, onResults } = makeListener();
    const seq = add([{ op: 'patch', id: 'none', name: 'n' }], { waits: true });
    await runElected({ onResults });
    expect(takeCalls()).toEqual(['read', 'applyBatch', 'settle']);
    expect(heard).toEqual([
      { results: [{ seq, results: [{ id: 'none', status: 'unknown_object' }] }], to: seq },
    ]);
  });

  it('are decided only with seqs read at the cursor of the batch', async () => {
    const { add, put, world, postgres, batches, runElected } = makeDrain();
    const first = put('a');
    const seq = add([{ op: 'put', id: 'a', ifSeq: first }], { waits: true });
    const { heard, onResults } = makeListener();
    // Another drain commits the first entry while this one asks.
    meanwhile(postgres.loadSeqs, () => {
      world.cursor = first;
      world.objects.set('a', first);
    });
    await runElected({ onResults });
    expect(batches().map(({ from }) => from)).toEqual([first]);
    expect(heard).toEqual([{ results: [{ seq, results: [{ id: 'a', status: 'applied' }] }], to: seq }]);
  });
});

describe('[S4] the snapshot of a drained space', () => {
  const FAR = { objects: 10, operations: 1_000, bytes: 0, ms: 0 };

  it.each([
    ['is renewed when the log behind it has grown long', FAR, 1],
    ['is not renewed while the log behind it is short', { ...FAR, operations: 999 }, 0],
    ['is not made for a space without one', null, 0],
  ])('%s', async (_, snapshot, renewals) => {
    const { put, log, drain } = makeDrain();
    const renew = vi.fn(async () => undefined);
    drain.setSnapshotRenewer({ renew, invalidateWhile: (_tenantId, write) => write() });
    put('a');
    log.snapshot = snapshot;
    await drain.drainSpace(ADDRESS, BUDGET);
    expect(renew.mock.calls).toEqual(Array(renewals).fill([ADDRESS, 'one']));
  });

  it('has one renewal at a time, parallel to the next batches, and the drain waits for it to end', async () => {
    const { put, log, clock, postgres, drain } = makeDrain();
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const renew = vi.fn(() => held);
    drain.setSnapshotRenewer({ renew, invalidateWhile: (_tenantId, write) => write() });
    for (const id of ['a', 'b', 'c']) put(id);
    Object.assign(log, { readMax: 1, snapshot: FAR });
    const ended = vi.fn();
    let renewalsBefore = 0;
    meanwhile(
      postgres.applyBatch,
      () => undefined,
      () => undefined,
      () => (renewalsBefore = renew.mock.calls.length),
    );
    const running = drain.drainSpace(ADDRESS, BUDGET).then(ended);
    await clock.pass(0);
    await clock.pass(0);
    expect([log.committed === log.last, ended.mock.calls.length]).toEqual([true, 0]);
    release();
    await running;
    expect([renewalsBefore, renew.mock.calls.length]).toEqual([1, 1]);
  });
});
