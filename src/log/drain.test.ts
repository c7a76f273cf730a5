import { describe, expect, it, vi } from 'vitest';
import { AppError } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import {
  ADDRESS,
  away,
  BUDGET,
  makeDrain,
  meanwhile,
  REST_MS,
  START,
  tooMuch,
} from './testing/memory-stores.ts';

describe('[D1] a drain', () => {
  it('commits the log from the cursor to its end, and reports how much that was', async () => {
    const { put, world, batches, drain } = makeDrain();
    put('a');
    put('b');
    const seq = put('c');
    const report = await drain.drainSpace(ADDRESS, BUDGET);
    expect(report).toEqual({ status: 'drained', operations: 3, entries: 3, batches: 1, seq });
    expect(batches()).toMatchObject([
      { from: START, to: seq, objects: [{ id: 'a' }, { id: 'b' }, { id: 'c' }] },
    ]);
    expect(world.cursor).toBe(seq);
  });

  it('changes nothing when the log has no entries behind the cursor', async () => {
    const { takeCalls, drain } = makeDrain();
    expect(await drain.drainSpace(ADDRESS, BUDGET)).toMatchObject({
      status: 'drained',
      batches: 0,
      seq: START,
    });
    expect(takeCalls()).toEqual(['listUncorrected', 'read', 'settle']);
  });

  it('goes on from the cursor to which another drain has moved Postgres', async () => {
    const { put, world, batches, drain } = makeDrain();
    const first = put('a');
    const second = put('b');
    world.cursor = first;
    expect(await drain.drainSpace(ADDRESS, BUDGET)).toMatchObject({ status: 'drained', entries: 1 });
    expect(batches().map(({ from, to }) => [from, to])).toEqual([
      [START, second],
      [first, second],
    ]);
  });

  it('drops the entries that it was reading when another drain has committed them', async () => {
    const { put, log, world, batches, drain } = makeDrain();
    put('a');
    world.cursor = put('b');
    const third = put('c');
    log.readMax = 1;
    expect(await drain.drainSpace(ADDRESS, BUDGET)).toMatchObject({ status: 'drained', entries: 1 });
    expect(batches()[1]).toMatchObject({ from: world.cursor - 1, to: third, objects: [{ id: 'c' }] });
  });

  it('settles one batch at a time, while the next one is applied', async () => {
    const { put, log, clock, redis, batches, drain } = makeDrain();
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    for (const id of ['a', 'b', 'c']) put(id);
    log.readMax = 1;
    meanwhile(redis.settle, () => held);
    const running = drain.drainSpace(ADDRESS, BUDGET);
    await clock.pass(0);
    expect([batches().length, redis.settle.mock.calls.length]).toEqual([2, 1]);
    release();
    expect(await running).toMatchObject({ status: 'drained', batches: 3 });
  });

  it('does not end before the settling of its last batch, even when the next batch fails', async () => {
    const { put, log, clock, redis, postgres, drain } = makeDrain();
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const ended = vi.fn();
    for (const id of ['a', 'b']) put(id);
    log.readMax = 1;
    meanwhile(redis.settle, () => held);
    meanwhile(
      postgres.applyBatch,
      () => undefined,
      () => Promise.reject(away()),
    );
    const running = drain.drainSpace(ADDRESS, BUDGET).catch(ended);
    await clock.pass(0);
    expect([postgres.applyBatch.mock.calls.length, ended.mock.calls.length]).toEqual([2, 0]);
    release();
    await running;
    expect(ended).toHaveBeenCalledTimes(1);
  });

  it('commits the entries of the append that claimed it without reading the log', async () => {
    const { log, world, takeCalls, runElected } = makeDrain();
    const entry = { seq: START + 1, prev: START, actor: null, waits: false, bytes: 24 };
    log.last = entry.seq;
    const own = {
      incarnation: 'one',
      after: START,
      entries: [{ ...entry, ops: [{ op: 'put' as const, id: 'a' }] }],
    };
    expect(await runElected({ own })).toMatchObject({ status: 'drained', entries: 1 });
    expect(takeCalls()).toEqual(['applyBatch', 'settle']);
    expect(world.cursor).toBe(entry.seq);
  });

  it('tells Redis how many operations it committed, and how long their entries had waited', async () => {
    const { put, clock, settles, drain } = makeDrain();
    put('a');
    await clock.pass(40);
    put('b');
    await clock.pass(2);
    await drain.drainSpace(ADDRESS, BUDGET);
    expect(settles()).toMatchObject([{ operations: 2, entries: 2, bytes: 2 * 23, latencyMsSum: 42 + 2 }]);
  });

  it('ends without writing when another drain took over', async () => {
    const { put, log, batches, publishDrain, drain } = makeDrain();
    put('a');
    log.token = 'another';
    expect(await drain.run(ADDRESS, { token: 'mine', ...BUDGET })).toMatchObject({
      status: 'relieved',
      batches: 0,
    });
    expect(batches()).toEqual([]);
    expect(publishDrain).not.toHaveBeenCalled();
  });

  it('stops after the entries that it has read when another drain takes over meanwhile', async () => {
    const { put, log, redis, runElected } = makeDrain();
    put('a');
    put('b');
    log.readMax = 1;
    meanwhile(redis.settle, () => Object.assign(log, { token: 'another' }));
    put('c');
    expect(await runElected()).toMatchObject({ status: 'relieved', entries: 2 });
  });

  it.each([
    ['Postgres has no such space', { status: 'unknown_space' as const }],
    ['Postgres has another incarnation', { status: 'moved' as const, cursor: START, incarnation: 'two' }],
  ])('removes the log of a deleted space when %s', async (_, outcome) => {
    const { put, postgres, redis, drain } = makeDrain();
    put('a');
    postgres.applyBatch.mockResolvedValueOnce(outcome);
    expect(await drain.drainSpace(ADDRESS, BUDGET)).toMatchObject({ status: 'unknown_space', batches: 0 });
    expect(redis.retire.mock.calls).toEqual([[ADDRESS, 'one']]);
  });

  it.each([
    ['batch', [{ op: 'put', id: 'a' }]],
    ['staged world', [{ op: 'stage', id: 's', mode: 'replace' }]],
  ] as const)('stops when Postgres takes its %s for a direct write', async (_, ops) => {
    const { add, postgres, drain } = makeDrain();
    add([...ops]);
    postgres.applyBatch.mockResolvedValueOnce({ status: 'log_open' });
    postgres.applyStage.mockResolvedValueOnce({ status: 'log_open' });
    await expect(drain.drainSpace(ADDRESS, BUDGET)).rejects.toMatchObject({ code: 'internal' });
  });

  it('does not write to a space that Redis knows to be deleted', async () => {
    const { put, log, batches, drain } = makeDrain();
    put('a');
    log.status = 'deleted';
    expect(await drain.drainSpace(ADDRESS, BUDGET)).toMatchObject({ status: 'unknown_space' });
    expect(batches()).toEqual([]);
  });
});

describe('[D2b] a batch', () => {
  it('that is too much is retried with an eighth of its entries, and the batches after it double', async () => {
    const { put, postgres, batches, drain } = makeDrain();
    for (let i = 0; i < 64; i++) put(`o${i}`);
    postgres.applyBatch.mockRejectedValueOnce(tooMuch());
    expect(await drain.drainSpace(ADDRESS, BUDGET)).toMatchObject({
      status: 'drained',
      entries: 64,
      batches: 4,
    });
    expect(batches().map(({ objects }) => objects.length)).toEqual([64, 8, 16, 32, 8]);
  });

  it('that is too much and holds one entry stops the drain', async () => {
    const { put, postgres, batches, drain } = makeDrain();
    put('a');
    postgres.applyBatch.mockRejectedValue(tooMuch());
    await expect(drain.drainSpace(ADDRESS, BUDGET)).rejects.toMatchObject({ retrySmaller: true });
    expect(batches()).toHaveLength(1);
  });

  it('that fails for another reason stops the drain', async () => {
    const { put, postgres, batches, drain } = makeDrain();
    for (const id of ['a', 'b']) put(id);
    postgres.applyBatch.mockRejectedValueOnce(away());
    await expect(drain.drainSpace(ADDRESS, BUDGET)).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(batches()).toHaveLength(1);
  });

  it('holds at most 2 MiB of entries, and the next batch takes the others', async () => {
    const { add, batches, drain } = makeDrain();
    const half = 'x'.repeat(LIMITS.batchBytesMax / 2 - 50);
    for (const id of ['a', 'b', 'c']) add([{ op: 'put', id, properties: { half } }]);
    await drain.drainSpace(ADDRESS, BUDGET);
    expect(batches().map(({ objects }) => objects.length)).toEqual([2, 1]);
  });
});

describe('[D4c] a drain that holds the claim', () => {
  /** During each of its first batches another entry is appended. */
  function makeBusy(appends: number) {
    const deps = makeDrain();
    deps.put('a');
    meanwhile(
      deps.postgres.applyBatch,
      ...Array.from({ length: appends }, (_, i) => () => deps.put(`late${i}`)),
    );
    return { ...deps, next: () => deps.settles().map(({ next }) => next) };
  }

  it('rests before it commits what was appended during its batch', async () => {
    const { clock, pauses, batches, runElected } = makeBusy(1);
    const running = runElected();
    await clock.pass(REST_MS - 1);
    expect([pauses, batches().length]).toEqual([[REST_MS], 1]);
    await clock.pass(1);
    expect(await running).toMatchObject({ status: 'drained', batches: 2 });
  });

  it('does not rest when nothing was appended meanwhile', async () => {
    const { pauses, runElected } = makeBusy(0);
    await runElected();
    expect(pauses).toEqual([]);
  });

  it('does not rest while a caller waits for an entry', async () => {
    const { put, postgres, pauses, runElected } = makeDrain();
    put('a');
    meanwhile(postgres.applyBatch, () => put('b', true));
    expect(await runElected()).toMatchObject({ batches: 2 });
    expect(pauses).toEqual([]);
  });

  it('does not rest while it holds entries that it has read', async () => {
    const { put, log, settles, pauses, runElected } = makeDrain();
    for (const id of ['a', 'b', 'c']) put(id);
    log.readMax = 1;
    await runElected();
    expect(settles().map(({ next }) => next)).toEqual(['continue', 'continue', 'pause']);
    expect(pauses).toEqual([]);
  });

  it.each([
    ['in the first 15 s of a long budget', 40_000, 15_000],
    ['in the first three quarters of a short budget', 4_000, 3_000],
  ])('rests only %s', async (_, budgetMs, untilMs) => {
    const { put, clock, postgres, settles, runElected } = makeDrain();
    put('a');
    // Redis grants no rest while a caller waits, so time passes only where this test lets it.
    const passAndPut = (ms: number) => async () => {
      await clock.pass(ms);
      put('b', true);
    };
    meanwhile(postgres.applyBatch, passAndPut(untilMs - 1), passAndPut(1));
    await runElected({ budgetMs });
    expect(settles().map(({ next }) => next)).toEqual(['pause', 'continue', 'continue']);
  });

  it('ends its rest when its process ends, and does not rest again', async () => {
    const { clock, pauses, drain, runElected } = makeBusy(2);
    const running = runElected();
    await clock.pass(0);
    drain.endRests();
    expect(await running).toMatchObject({ status: 'drained', batches: 3 });
    expect(pauses).toEqual([REST_MS]);
  });

  it('does not rest while it has dead letters to correct', async () => {
    const { put, world, pauses, settles, runElected, postgres } = makeDrain();
    put('bad');
    world.unkeepable.add('bad');
    meanwhile(
      postgres.applyBatch,
      () => undefined,
      () => put('b'),
    );
    expect(await runElected()).toMatchObject({ status: 'drained' });
    expect(settles()[0]?.next).toBe('continue');
    expect(pauses).toEqual([]);
  });

  it('rests, but a drain that was only called does not', async () => {
    const { next, pauses, drain } = makeBusy(1);
    expect(await drain.run(ADDRESS, { token: null, ...BUDGET })).toMatchObject({ batches: 2 });
    expect(next()).toEqual(['continue', 'continue']);
    expect(pauses).toEqual([]);
  });
});

describe('[D4d] a drain that does not finish', () => {
  it('leaves the rest of the log to QStash, 5 s later, when its budget is used up', async () => {
    const { put, clock, postgres, settles, publishDrain, runElected } = makeDrain();
    const seq = put('a');
    meanwhile(postgres.applyBatch, async () => {
      put('b');
      await clock.pass(BUDGET.budgetMs);
    });
    expect(await runElected()).toMatchObject({ status: 'continues', entries: 1, seq });
    expect(settles()).toMatchObject([{ committed: seq, next: 'stop' }]);
    expect(publishDrain.mock.calls).toEqual([[{ ...ADDRESS, delaySeconds: 5 }]]);
  });

  it('stops at the end of its budget even when it has read more entries', async () => {
    const { put, log, clock, postgres, runElected } = makeDrain();
    put('a');
    put('b');
    log.readMax = 1;
    meanwhile(postgres.applyBatch, () => clock.pass(BUDGET.budgetMs));
    expect(await runElected()).toMatchObject({ status: 'continues', entries: 1 });
  });

  it('stops at the end of its budget even when other drains keep moving the cursor', async () => {
    const { put, clock, world, postgres, drain } = makeDrain();
    put('a');
    postgres.applyBatch.mockImplementation(async () => {
      await clock.pass(BUDGET.budgetMs / 2);
      return { status: 'moved', cursor: world.cursor, incarnation: 'one' };
    });
    expect(await drain.run(ADDRESS, { token: null, ...BUDGET })).toMatchObject({
      status: 'continues',
      batches: 0,
    });
    expect(postgres.applyBatch).toHaveBeenCalledTimes(2);
  });

  it('asks QStash to retry when it fails, and tells the cause', async () => {
    const { put, postgres, told, publishDrain, runElected } = makeDrain();
    put('a');
    const cause = away();
    postgres.applyBatch.mockRejectedValueOnce(cause);
    await expect(runElected()).rejects.toBe(cause);
    expect(publishDrain.mock.calls).toEqual([[{ ...ADDRESS, delaySeconds: 5 }]]);
    expect(told).toEqual([{ event: 'drain_failed', address: ADDRESS, cause }]);
  });

  it('does not ask QStash when its caller learns of the failure', async () => {
    const { put, postgres, publishDrain, drain } = makeDrain();
    put('a');
    postgres.applyBatch.mockRejectedValueOnce(away());
    await expect(drain.drainSpace(ADDRESS, BUDGET)).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(publishDrain).not.toHaveBeenCalled();
  });

  it('[D5d] tells an incident and leaves the space to the sweep when Postgres refuses its role', async () => {
    const { put, postgres, told, publishDrain, runElected } = makeDrain();
    put('a');
    const refused = new AppError('store_unavailable', 'refused', { needsOperator: true });
    postgres.applyBatch.mockRejectedValueOnce(refused);
    await expect(runElected()).rejects.toBe(refused);
    expect(told).toMatchObject([
      { event: 'drain_failed' },
      { event: 'drain_incident', kind: 'refused_by_postgres', address: ADDRESS },
    ]);
    expect(publishDrain).not.toHaveBeenCalled();
  });

  it('fails with its own error when QStash does not answer either', async () => {
    const { put, postgres, told, publishDrain, runElected } = makeDrain();
    put('a');
    postgres.applyBatch.mockRejectedValueOnce(away());
    publishDrain.mockRejectedValueOnce(new Error('QStash is away'));
    await expect(runElected()).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(told.map(({ event }) => event)).toEqual(['drain_failed', 'drain_failed']);
  });
});
