import { describe, expect, it, vi } from 'vitest';
import { LIMITS } from '../world/limits.ts';
import type { Operation } from '../world/operation.ts';
import type { BudgetLeft } from './space-log.ts';
import { ADDRESS, away, BACKLOG, makeSpaceLog, PUT, START, TARGET } from './testing/memory-stores.ts';

const LEFT: BudgetLeft = {
  requests: { remaining: 3, resetMs: 100 },
  updates: { remaining: 7, resetMs: 200 },
};

describe('[L4] an append', () => {
  it('is one call, however many operations it holds', async () => {
    const { enqueue, takeCalls } = makeSpaceLog();
    await enqueue();
    takeCalls();
    const operations = Array.from({ length: 1_000 }, (_, i): Operation => ({ op: 'put', id: `o${i}` }));
    expect(await enqueue(operations)).toMatchObject({ status: 'queued', accepted: 1_000 });
    expect(takeCalls()).toEqual(['append']);
  });

  it('[D3b] coalesces operations on one object, and still answers how many were sent', async () => {
    const { enqueue, redis } = makeSpaceLog();
    const move = (x: number): Operation => ({ op: 'patch', id: 'a', position: { x } });
    expect(await enqueue([move(1), move(2)])).toMatchObject({ accepted: 2 });
    expect(redis.append.mock.calls[0]?.[1].entries).toEqual([{ ops: JSON.stringify([move(2)]), count: 1 }]);
  });

  it('[D3b] coalesces nothing when its caller waits for the results', async () => {
    const { commit, log, redis } = makeSpaceLog();
    log.drainAfterMs = 0;
    await commit([...PUT, ...PUT]);
    expect(redis.append.mock.calls[0]?.[1]).toMatchObject({ waits: true, entries: [{ count: 2 }] });
  });

  it('carries its key, its budget and the limits of the backlog', async () => {
    const { enqueue, redis } = makeSpaceLog({ requestsPerMinute: 60, updatesPerMinute: 600 });
    await enqueue(PUT, { idempotency: { key: 'k', fingerprint: 'f' } });
    expect(redis.append.mock.calls).toMatchObject([
      [
        ADDRESS,
        {
          actor: 'mia',
          waits: false,
          backlog: BACKLOG,
          opened: null,
          idempotency: { principal: 'p', key: 'k', fingerprint: 'f', ttlSeconds: 600 },
          budget: { principal: 'p', requestsPerMinute: 60, updatesPerMinute: 600 },
        },
      ],
    ]);
  });

  it.each([
    ['without a principal carries neither key nor budget', { requestsPerMinute: 60 }, null],
    ['is not counted when no rate is set', {}, 'p'],
  ])('%s', async (_, options, principal) => {
    const { enqueue, redis } = makeSpaceLog(options);
    await enqueue(PUT, {
      principal,
      idempotency: principal === null ? { key: 'k', fingerprint: 'f' } : null,
    });
    expect(redis.append.mock.calls[0]?.[1]).toMatchObject({ idempotency: null, budget: null });
  });

  it.each([
    ['requests', { requestsPerMinute: 60 }],
    ['updates', { updatesPerMinute: 600 }],
  ])('is counted when only the rate of %s is set', async (_, rate) => {
    const { enqueue, redis } = makeSpaceLog(rate);
    await enqueue();
    expect(redis.append.mock.calls[0]?.[1].budget).toMatchObject({ principal: 'p', ...rate });
  });

  it('tells its caller the budget that is left', async () => {
    const { enqueue, redis } = makeSpaceLog();
    const seqs = { firstSeq: START + 1, seq: START + 1, accepted: 1, after: START };
    redis.append.mockResolvedValueOnce({
      status: 'appended',
      ...seqs,
      isRepeat: false,
      messageIds: [],
      incarnation: 'one',
      drainAfterMs: null,
      token: '',
      budget: LEFT,
    });
    const onBudget = vi.fn();
    await enqueue(PUT, { onBudget });
    expect(onBudget.mock.calls).toEqual([[LEFT]]);
  });

  it('is not retried when its outcome is unknown: its caller learns of the failure', async () => {
    const { enqueue, redis, deferred } = makeSpaceLog();
    redis.append.mockRejectedValueOnce(away());
    await expect(enqueue()).rejects.toMatchObject({ code: 'store_unavailable' });
    expect([redis.append.mock.calls.length, deferred.length]).toEqual([1, 0]);
  });
});

describe('[L4f] an append to a space that Redis does not know', () => {
  it('asks Postgres once, and is sent again with its answer', async () => {
    const { enqueue, log, redis, postgres, takeCalls } = makeSpaceLog();
    log.status = 'cold';
    expect(await enqueue()).toMatchObject({ status: 'queued', seq: START + 1_000_000 });
    expect(postgres.openLog.mock.calls).toEqual([[ADDRESS, { instance: 'redis-1', isLogAbsent: true }]]);
    expect(redis.append.mock.calls[1]?.[1].opened).toEqual({
      incarnation: 'one',
      incarnationSeq: 1,
      cursor: START,
    });
    await enqueue();
    expect(takeCalls()).toEqual(['findFault', 'append', 'readInstance', 'openLog', 'append', 'append']);
  });

  it('tells Postgres whether the log is still there', async () => {
    const { enqueue, redis, postgres } = makeSpaceLog();
    redis.append.mockResolvedValueOnce({ status: 'cold', isLogAbsent: false });
    await enqueue();
    expect(postgres.openLog.mock.calls).toMatchObject([[ADDRESS, { isLogAbsent: false }]]);
  });

  it('is refused when Postgres does not know it either', async () => {
    const { enqueue, log, postgres } = makeSpaceLog();
    log.status = 'cold';
    postgres.openLog.mockResolvedValueOnce(null);
    await expect(enqueue()).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is refused with Retry-After when Redis forgets the space three times', async () => {
    const { enqueue, redis } = makeSpaceLog();
    redis.append.mockResolvedValue({ status: 'cold', isLogAbsent: false });
    await expect(enqueue()).rejects.toMatchObject({ code: 'store_unavailable', retryAfterSeconds: 1 });
    expect(redis.append).toHaveBeenCalledTimes(3);
  });

  it('is refused when the space is deleted', async () => {
    const { enqueue, log, redis } = makeSpaceLog();
    log.status = 'deleted';
    await expect(enqueue()).rejects.toMatchObject({ code: 'not_found' });
    expect(redis.append).toHaveBeenCalledTimes(1);
  });

  it('goes to the new space when the space was deleted and created again', async () => {
    const { enqueue, log, world } = makeSpaceLog();
    log.status = 'deleted';
    world.incarnation = 'two';
    expect(await enqueue()).toMatchObject({ status: 'queued' });
    expect(log.incarnation).toBe('two');
  });
});

describe('[L4a] an append is refused', () => {
  it.each([
    ['requests', 1_001, 2, 'At most 60 requests in 60 seconds; the next in 2 s.'],
    ['updates', 1, 1, 'At most 600 updates in 60 seconds; the next in 1 s.'],
  ] as const)(
    'when its principal has used up its %s',
    async (kind, retryAfterMs, retryAfterSeconds, message) => {
      const { enqueue, redis, deferred } = makeSpaceLog({ requestsPerMinute: 60, updatesPerMinute: 600 });
      redis.append.mockResolvedValueOnce({ status: 'over_budget', kind, retryAfterMs, budget: LEFT });
      const onBudget = vi.fn();
      await expect(enqueue(PUT, { onBudget })).rejects.toMatchObject({
        code: 'rate_limited',
        retryAfterSeconds,
        message,
      });
      expect(onBudget.mock.calls).toEqual([[LEFT]]);
      expect(deferred).toEqual([]);
    },
  );

  it('[D7] when the backlog of the space is full', async () => {
    const { enqueue, redis } = makeSpaceLog();
    redis.append.mockResolvedValueOnce({ status: 'backlog_full', kind: 'entries', actual: 11, max: 10 });
    const refused = {
      code: 'backlog_full',
      retryAfterSeconds: 5,
      message: expect.stringMatching(/11 entries.*10/),
    };
    await expect(enqueue()).rejects.toMatchObject(refused);
  });

  it('when its key was used with another body', async () => {
    const { enqueue, redis } = makeSpaceLog();
    redis.append.mockResolvedValueOnce({ status: 'key_reused' });
    await expect(enqueue()).rejects.toMatchObject({ code: 'idempotency_key_reused' });
  });
});

describe('[D7a] a Redis that evicts', () => {
  it('takes no append, and is asked again before the next one', async () => {
    const { enqueue, redis } = makeSpaceLog();
    redis.findFault.mockResolvedValue('evicts');
    for (let i = 0; i < 2; i++)
      await expect(enqueue()).rejects.toMatchObject({ code: 'store_unavailable', retryAfterSeconds: 30 });
    expect(redis.append).not.toHaveBeenCalled();
    redis.findFault.mockResolvedValue(null);
    expect(await enqueue()).toMatchObject({ status: 'queued' });
  });

  it('is noticed within a minute: Redis is asked once a minute', async () => {
    const { enqueue, redis, clock } = makeSpaceLog();
    await enqueue();
    await clock.pass(59_999);
    await enqueue();
    expect(redis.findFault).toHaveBeenCalledTimes(1);
    await clock.pass(1);
    redis.findFault.mockResolvedValue('evicts');
    await expect(enqueue()).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  it.each([
    ['evicts', false, 'evicts'],
    [null, true, 'full'],
    [null, false, null],
  ] as const)('is told to the health check: fault %s, full %s gives %s', async (fault, isFull, found) => {
    const { spaceLog, redis } = makeSpaceLog();
    redis.findFault.mockResolvedValue(fault);
    redis.isFull.mockResolvedValue(isFull);
    expect(await spaceLog.findFault()).toBe(found);
  });
});

describe('[D4] an append that does not wait', () => {
  it('drains nothing when another drain holds the claim', async () => {
    const { enqueue, settle, run, log } = makeSpaceLog();
    log.drainAfterMs = null;
    await enqueue();
    await settle();
    expect(run).not.toHaveBeenCalled();
  });

  it('drains when its claim is due, with the entries that came meanwhile', async () => {
    const { enqueue, settle, put, clock, run, log, world } = makeSpaceLog();
    log.drainAfterMs = 100;
    await enqueue();
    const last = put('later');
    await clock.pass(99);
    expect(run).not.toHaveBeenCalled();
    await clock.pass(1);
    await settle();
    expect(run.mock.calls).toEqual([[TARGET, { token: 'token-1', budgetMs: LIMITS.drainMsMax }]]);
    expect(world.cursor).toBe(last);
  });

  it('is still queued when its drain fails', async () => {
    const { enqueue, settle, clock, run, log } = makeSpaceLog();
    log.drainAfterMs = 100;
    run.mockRejectedValueOnce(away());
    expect(await enqueue()).toMatchObject({ status: 'queued' });
    await clock.pass(100);
    await expect(settle()).resolves.toEqual([undefined]);
  });
});

describe('[L4f] opening a log', () => {
  it('is one call that appends nothing when Redis knows the space', async () => {
    const { spaceLog, redis, takeCalls } = makeSpaceLog();
    await spaceLog.open(ADDRESS);
    expect(redis.append.mock.calls[0]?.[1]).toMatchObject({ entries: [], waits: false, budget: null });
    expect(takeCalls()).toEqual(['append']);
  });

  it('tells Postgres whether the log is still there', async () => {
    const { spaceLog, redis, postgres } = makeSpaceLog();
    redis.append.mockResolvedValueOnce({ status: 'cold', isLogAbsent: false });
    await spaceLog.open(ADDRESS);
    expect(postgres.openLog.mock.calls).toMatchObject([[ADDRESS, { isLogAbsent: false }]]);
  });

  it.each(['cold', 'deleted'] as const)('asks Postgres when Redis says %s', async (status) => {
    const { spaceLog, log, world, postgres } = makeSpaceLog();
    Object.assign(log, { status });
    world.incarnation = 'two';
    await spaceLog.open(ADDRESS);
    expect([log.status, log.incarnation]).toEqual(['open', 'two']);
    expect(postgres.openLog.mock.calls).toEqual([[ADDRESS, { instance: 'redis-1', isLogAbsent: true }]]);
  });

  it('is refused when the space is deleted', async () => {
    const { spaceLog, log } = makeSpaceLog();
    log.status = 'deleted';
    await expect(spaceLog.open(ADDRESS)).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('the lag of Postgres behind a log', () => {
  it.each([
    ['is the age of the oldest entry that Postgres does not have', START, 1_000],
    ['is 0 when Postgres has all of it', null, 0],
    ['is never negative, even when the clock of Redis is ahead', START + 9_000_000, 0],
  ])('%s', async (_, oldestSeq, durabilityLagMs) => {
    const { spaceLog, redis } = makeSpaceLog();
    redis.readBacklog.mockResolvedValue({ operations: 1, entries: 1, bytes: 9, oldestSeq, last: START });
    expect(await spaceLog.readLag(ADDRESS)).toEqual({ seq: START, durabilityLagMs });
  });
});
