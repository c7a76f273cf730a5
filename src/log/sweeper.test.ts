import { describe, expect, it } from 'vitest';
import { away, BUDGET, makeDrain } from './testing/memory-stores.ts';

const RECORDS_SWEEP_MS = 600_000;

/** Spaces that have something to drain, the first of which has waited longest. */
function makeSpaces(count: number) {
  return Array.from({ length: count }, (_, i) => ({
    tenantId: 't',
    spaceId: `space-${i}`,
    oldestSeq: 1 + i,
  }));
}

describe('[D4e] a sweep', () => {
  it('drains every space with pending entries, the longest-waiting first', async () => {
    const { redis, drain } = makeDrain();
    redis.listDirty.mockResolvedValueOnce(makeSpaces(6));
    expect(await drain.sweep(BUDGET)).toMatchObject({ spaces: 6, left: 0 });
    const drained = redis.read.mock.calls.map(([{ spaceId }]) => spaceId);
    expect(drained).toEqual(makeSpaces(6).map(({ spaceId }) => spaceId));
  });

  it('reports the sum of its drains', async () => {
    const { put, drain } = makeDrain();
    put('a');
    put('b');
    expect(await drain.sweep(BUDGET)).toEqual({ spaces: 1, operations: 2, entries: 2, batches: 1, left: 0 });
  });

  it('drains the other spaces when one fails, and takes that one last in the next sweep', async () => {
    const { redis, drain } = makeDrain();
    redis.listDirty.mockResolvedValue(makeSpaces(3));
    redis.read.mockRejectedValueOnce(away());
    expect(await drain.sweep(BUDGET)).toMatchObject({ spaces: 3, left: 1 });
    const sweepAgain = async () => {
      redis.read.mockClear();
      await drain.sweep(BUDGET);
      return redis.read.mock.calls.map(([{ spaceId }]) => spaceId);
    };
    expect(await sweepAgain()).toEqual(['space-1', 'space-2', 'space-0']);
    expect(await sweepAgain()).toEqual(['space-0', 'space-1', 'space-2']);
  });

  it('fails when every space failed', async () => {
    const { redis, drain } = makeDrain();
    redis.listDirty.mockResolvedValue(makeSpaces(2));
    redis.read.mockRejectedValue(away());
    await expect(drain.sweep(BUDGET)).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  it('drains four spaces at a time, and begins none after the end of its budget', async () => {
    const { redis, clock, pause, drain } = makeDrain();
    redis.listDirty.mockResolvedValueOnce(makeSpaces(7));
    redis.read.mockImplementation(async () => {
      await pause(BUDGET.budgetMs);
      return { status: 'relieved' };
    });
    const sweeping = drain.sweep(BUDGET);
    await clock.pass(BUDGET.budgetMs - 1);
    expect(redis.read).toHaveBeenCalledTimes(4);
    await clock.pass(1);
    expect(await sweeping).toMatchObject({ spaces: 4, left: 3 });
  });

  it('drains one space for 5 s at most', async () => {
    const { put, clock, postgres, publishDrain, drain } = makeDrain();
    put('a');
    postgres.applyBatch.mockImplementation(async () => {
      await clock.pass(2_500);
      return { status: 'moved', cursor: 0, incarnation: 'one' };
    });
    expect(await drain.sweep(BUDGET)).toMatchObject({ spaces: 1, left: 1 });
    expect(postgres.applyBatch).toHaveBeenCalledTimes(2);
    expect(publishDrain).toHaveBeenCalledTimes(1);
  });
});

describe('[D5h] the records of drains', () => {
  it('are swept every ten minutes, and results are kept for at least a minute', async () => {
    const { postgres, clock, drain } = makeDrain();
    await drain.sweep(BUDGET);
    await clock.pass(RECORDS_SWEEP_MS - 1);
    await drain.sweep(BUDGET);
    expect(postgres.sweepAllRecords.mock.calls).toEqual([[{ resultsSeconds: 60, deadLetterDays: 7 }]]);
    await clock.pass(1);
    await drain.sweep(BUDGET);
    expect(postgres.sweepAllRecords).toHaveBeenCalledTimes(2);
  });

  it('do not fail the sweep when Postgres cannot remove them', async () => {
    const { put, postgres, told, drain } = makeDrain();
    put('a');
    postgres.sweepAllRecords.mockRejectedValueOnce(away());
    expect(await drain.sweep(BUDGET)).toMatchObject({ operations: 1 });
    expect(told).toMatchObject([{ event: 'records_sweep_failed', address: null }]);
  });
});
