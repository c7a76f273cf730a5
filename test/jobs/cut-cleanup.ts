import { JobRuns } from '../../src/jobs/job-runs.ts';
import { Upkeep } from '../../src/jobs/upkeep.ts';
import type { Postgres } from '../../src/postgres/client.ts';
import { createUpkeepStore } from '../../src/postgres/upkeep-store.ts';
import { uniqueName } from '../support.ts';
import { RETENTION } from './old-and-new.ts';

export class Cut extends Error {}

/**
 * A cleanup in a process that ends at its n-th call to a store: before the call is sent, or after it was run. Batches are small, so that
 * each kind needs several.
 * @param calls told of each call
 */
export async function runCutCleanup(
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
