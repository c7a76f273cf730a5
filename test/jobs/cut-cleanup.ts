import { expect } from 'vitest';
import { JobRuns } from '../../src/jobs/job-runs.ts';
import { Upkeep } from '../../src/jobs/upkeep.ts';
import type { Postgres } from '../../src/postgres/client.ts';
import { createUpkeepStore } from '../../src/postgres/upkeep-store.ts';
import type { OwnDatabase } from '../own-database.ts';
import { uniqueName } from '../support.ts';
import { countLooseWorlds, fillTenant, isOld, listRows, RETENTION } from './old-and-new.ts';

class Cut extends Error {}

/**
 * A cleanup in a process that ends at its n-th call to a store: before the call is sent, or after it was run. Batches are small, so that
 * each kind needs several.
 * @param calls told of each call
 */
async function runCutCleanup(
  postgres: Postgres,
  nowMs: number,
  { n, when, forgetSpace }: { n: number; when: 'before' | 'after'; forgetSpace: () => Promise<void> },
): Promise<{ calls: number; hasEnded: boolean }> {
  let calls = 0;
  let hasEnded = false;
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    calls++;
    if (hasEnded) throw new Cut();
    hasEnded = calls >= n;
    if (hasEnded && when === 'before') throw new Cut();
    const answer = await work();
    if (hasEnded) throw new Cut();
    return answer;
  };
  const cut: Postgres = {
    ...postgres,
    inTenant: (...args) => call(() => postgres.inTenant(...args)) as never,
  };
  const store = createUpkeepStore(cut);
  const upkeep = new Upkeep(
    {
      ...store,
      cleanRecords: (kind, before, from) => store.cleanRecords(kind, before, from, 1),
      cleanRemovals: (before, from) => store.cleanRemovals(before, from, 1),
      cleanWorlds: (from) => store.cleanWorlds(from, 2),
      purgeSpace: (space, before) => store.purgeSpace(space, before, 2),
    },
    {
      now: () => nowMs,
      retention: RETENTION,
      forgetSpace: () => call(forgetSpace),
      sweepObjects: () => call(async () => 0),
      onFailure: () => undefined,
    },
  );
  const runs = new JobRuns(store, { now: () => nowMs, createId: () => uniqueName('run') });
  await runs.run('cleanup', () => upkeep.run({ budgetMs: 60_000 })).catch(() => undefined);
  return { calls, hasEnded };
}

/** Cuts cleanups at the first call, and at every `stride`-th after it, and repeats each. @returns how many were cut */
export async function cutAndRepeat({ postgres, admin }: OwnDatabase, stride: number): Promise<number> {
  const nowMs = Date.now();
  const forgetSpace = async () => undefined;
  const run = (n: number, when: 'before' | 'after') =>
    runCutCleanup(postgres, nowMs, { n, when, forgetSpace });
  // Rows of runs are of this moment, and stay.
  const isCompared = (row: string) => !/^(worlds|job_runs) /.test(row);
  let cuts = 0;
  for (let n = 1; ; n += stride) {
    await fillTenant(postgres, admin, nowMs);
    const wanted = (await listRows(admin)).filter((row) => isCompared(row) && !isOld(row));
    const { hasEnded } = await run(n, n % 2 === 0 ? 'before' : 'after');
    // A cut may remove any of the old rows, and nothing else.
    const between = (await listRows(admin)).filter((row) => isCompared(row) && !isOld(row));
    expect(between, `after a cut at call ${n}`).toEqual(wanted);
    expect(await run(Number.POSITIVE_INFINITY, 'before')).toMatchObject({ hasEnded: false });
    expect((await listRows(admin)).filter(isCompared), `repeated after call ${n}`).toEqual(wanted);
    expect(await countLooseWorlds(admin)).toBe(0);
    if (!hasEnded) break;
    cuts++;
  }
  return cuts;
}
