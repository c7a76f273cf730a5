import { describe, expect, it } from 'vitest';
import { LIMITS } from '../world/limits.ts';
import type { Operation } from '../world/operation.ts';
import { ADDRESS, away, makeSpaceLog, meanwhile, PUT, START, TARGET } from './testing/memory-stores.ts';

const WAIT_MS = 8_000;
const FIRST = START + 1_000_000;
const APPLIED = { status: 'committed', seq: FIRST, accepted: 1, results: [{ id: 'a', status: 'applied' }] };
const QUEUED = { status: 'queued', seq: FIRST, accepted: 1 };

/** A caller that waits and claimed the drain. */
function makeElected() {
  const deps = makeSpaceLog();
  deps.log.drainAfterMs = 0;
  return deps;
}

/** A promise that never resolves. */
const never = () => new Promise<never>(() => undefined);

describe('[D8a] a waiting caller that claimed the drain', () => {
  it('is answered by its own drain, without reading results from Postgres', async () => {
    const { commit, takeCalls, run } = makeElected();
    expect(await commit()).toEqual(APPLIED);
    expect(run.mock.calls).toMatchObject([[TARGET, { token: 'token-1', budgetMs: LIMITS.drainMsMax }]]);
    expect(takeCalls()).toEqual(['findFault', 'append', 'applyBatch', 'settle']);
  });

  it('gets the results of several entries in the order of its operations', async () => {
    const { commit, log, run } = makeElected();
    const large = 'x'.repeat(LIMITS.entryBytesMax / 2);
    const operations = ['c', 'a', 'b'].map((id): Operation => ({ op: 'put', id, properties: { large } }));
    expect(await commit(operations)).toMatchObject({
      status: 'committed',
      seq: FIRST + 2,
      accepted: 3,
      results: [{ id: 'c' }, { id: 'a' }, { id: 'b' }],
    });
    expect(log.entries).toHaveLength(3);
    const own = run.mock.calls[0]?.[1].own?.entries;
    expect(own?.map(({ seq, prev }) => [seq, prev])).toEqual(log.entries.map(({ seq, prev }) => [seq, prev]));
  });

  it('gets no results of other callers', async () => {
    const { commit, run } = makeElected();
    run.mockImplementationOnce((_, { onResults }) => {
      const of = (seq: number, id: string) => ({ seq, results: [{ id, status: 'applied' as const }] });
      onResults?.([of(FIRST - 1, 'before'), of(FIRST, 'a'), of(FIRST + 1, 'behind')], FIRST + 1);
      return never();
    });
    expect(await commit()).toEqual(APPLIED);
  });

  it('is answered once its entry has committed, even if its drain goes on', async () => {
    const { commit, put, postgres, deferred, world } = makeElected();
    meanwhile(postgres.applyBatch, () => put('behind'), never);
    expect(await commit()).toEqual(APPLIED);
    expect([world.cursor, deferred.length]).toEqual([FIRST, 1]);
  });

  it('keeps waiting while its drain has committed only earlier entries', async () => {
    const { commit, put, log, world } = makeElected();
    put('earlier');
    log.readMax = 1;
    expect(await commit()).toMatchObject({ status: 'committed', seq: FIRST + 1 });
    expect(world.cursor).toBe(FIRST + 1);
  });

  it('[D5b] reads its results from Postgres when its operations were applied one by one', async () => {
    const { commit, world, postgres } = makeElected();
    world.unkeepable.add('a');
    expect(await commit()).toMatchObject({ status: 'committed' });
    expect(postgres.readResults.mock.calls).toEqual([[TARGET, FIRST, FIRST]]);
  });

  it('gets queued after 8 s when its drain has not finished', async () => {
    const { commit, run, clock, postgres } = makeElected();
    run.mockImplementationOnce(never);
    // A Postgres that hangs must not delay the answer further.
    postgres.readResults.mockImplementation(never);
    const answer = commit();
    let isAnswered = false;
    void answer.then(() => (isAnswered = true));
    await clock.pass(WAIT_MS - 1);
    await clock.pass(0);
    expect(isAnswered).toBe(false);
    await clock.pass(1);
    expect(await answer).toEqual(QUEUED);
  });

  it('leaves no timer behind', async () => {
    const { commit, clock } = makeElected();
    await commit();
    expect(clock.size).toBe(0);
  });

  it('drains again after 400 ms when its drain failed', async () => {
    const { commit, run, clock } = makeElected();
    run.mockRejectedValueOnce(away());
    const answer = commit();
    await clock.pass(399);
    expect(run).toHaveBeenCalledTimes(1);
    await clock.pass(50);
    expect(await answer).toEqual(APPLIED);
    expect(run.mock.calls[1]).toMatchObject([TARGET, { token: null, own: null }]);
  });

  it('starts no second drain while its first one runs', async () => {
    const { commit, run, clock } = makeElected();
    run.mockImplementationOnce((_, { onResults }) => {
      onResults?.([], FIRST);
      return never();
    });
    const answer = commit();
    await clock.pass(WAIT_MS);
    await clock.pass(50);
    expect(await answer).toEqual(QUEUED);
    expect(run).toHaveBeenCalledTimes(1);
  });
});

describe('[D8a] a waiting caller when another drain holds the claim', () => {
  it('polls Postgres, with growing pauses, and is answered when it finds its results', async () => {
    const { commit, clock, pauses, run, drainElsewhere } = makeSpaceLog();
    const answer = commit();
    await clock.pass(4 + 8 + 16 + 32 + 50);
    await drainElsewhere();
    await clock.pass(50);
    expect(await answer).toEqual(APPLIED);
    expect(pauses).toEqual([WAIT_MS, 4, 8, 16, 32, 50, 50]);
    expect(run).not.toHaveBeenCalled();
  });

  it('starts a drain itself after 400 ms without a commit', async () => {
    const { commit, clock, run } = makeSpaceLog();
    const answer = commit();
    await clock.pass(399);
    expect(run).not.toHaveBeenCalled();
    await clock.pass(50);
    expect(await answer).toEqual(APPLIED);
    expect(run.mock.calls).toMatchObject([[TARGET, { token: null, budgetMs: LIMITS.drainMsMax, own: null }]]);
    expect(clock.size).toBe(0);
  });

  it('starts a drain every 400 ms while its drains fail', async () => {
    const { commit, clock, run } = makeSpaceLog();
    run.mockRejectedValue(away());
    const answer = commit();
    await clock.pass(WAIT_MS + 50);
    expect(await answer).toEqual(QUEUED);
    expect(run.mock.calls.length).toBeGreaterThanOrEqual(WAIT_MS / 450 - 1);
    expect(run.mock.calls.length).toBeLessThanOrEqual(WAIT_MS / 400);
  });

  it('gets queued after 8 s', async () => {
    const { commit, clock, run } = makeSpaceLog();
    run.mockImplementation(never);
    const answer = commit();
    await clock.pass(WAIT_MS + 50);
    expect(await answer).toEqual(QUEUED);
    expect(run).toHaveBeenCalledTimes(1);
  });

  it('[F9a] gets queued after 8 s when Postgres does not answer', async () => {
    const { commit, clock, postgres } = makeSpaceLog();
    postgres.readResults.mockImplementation(never);
    const answer = commit();
    await clock.pass(WAIT_MS);
    expect(await answer).toEqual(QUEUED);
    expect(clock.size).toBe(0);
  });

  it('[F3] gets queued, and not an error, when Postgres is away', async () => {
    const { commit, postgres, clock } = makeSpaceLog();
    postgres.readResults.mockRejectedValueOnce(away());
    expect(await commit()).toEqual(QUEUED);
    expect(clock.size).toBe(0);
  });

  it('gets any other failure as an error', async () => {
    const { commit, postgres } = makeSpaceLog();
    postgres.readResults.mockRejectedValueOnce(new TypeError('wrong'));
    await expect(commit()).rejects.toBeInstanceOf(TypeError);
  });
});

describe('[D8] a waiting caller whose entry has committed without results', () => {
  const appended = {
    status: 'appended' as const,
    firstSeq: FIRST,
    seq: FIRST,
    accepted: 1,
    messageIds: [],
    incarnation: 'one',
    drainAfterMs: null,
    token: '',
    after: null,
    budget: null,
  };

  it('learns that the outcome is unknown', async () => {
    const { commit, world } = makeSpaceLog();
    world.cursor = FIRST;
    await expect(commit()).rejects.toMatchObject({ code: 'store_unavailable', retryAfterSeconds: 1 });
  });

  it('[L4b] gets queued when its request repeats one that did not wait', async () => {
    const { commit, redis, world } = makeSpaceLog();
    world.cursor = FIRST;
    redis.append.mockResolvedValueOnce({ ...appended, isRepeat: true });
    expect(await commit()).toEqual(QUEUED);
  });

  it('[L4b] gets the first results when its request repeats one that waited', async () => {
    const { commit, redis, world, run } = makeSpaceLog();
    world.cursor = FIRST;
    world.results.set(FIRST, [{ id: 'a', status: 'applied' }]);
    redis.append.mockResolvedValueOnce({ ...appended, isRepeat: true });
    expect(await commit()).toEqual(APPLIED);
    expect(run).not.toHaveBeenCalled();
  });
});

describe('[L7] a save of a whole world', () => {
  it('is an entry of its own, and its caller waits', async () => {
    const { spaceLog, appending, log, postgres } = makeElected();
    postgres.readResults.mockResolvedValueOnce(new Map([[FIRST, [{ id: 'stage-1', status: 'applied' }]]]));
    const saved = await spaceLog.commitStage(TARGET, { stageId: 'stage-1', mode: 'replace' }, appending);
    expect(saved).toMatchObject({ status: 'committed', results: [{ id: 'stage-1', status: 'applied' }] });
    expect(log.entries).toMatchObject([
      { ops: '[{"op":"stage","id":"stage-1","mode":"replace"}]', count: 1, waits: true, actor: 'mia' },
    ]);
    expect(postgres.applyStage.mock.calls).toMatchObject([[ADDRESS, { stageId: 'stage-1', waits: true }]]);
  });
});

it('[L4d] a waiting caller gets an error when the outcome of its append is unknown', async () => {
  const { commit, redis, run } = makeElected();
  redis.append.mockRejectedValueOnce(away());
  await expect(commit(PUT)).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(run).not.toHaveBeenCalled();
});
