import type { UpkeepReport } from '../../src/jobs/upkeep.ts';
import { LIMITS } from '../../src/world/limits.ts';
import type { Services } from '../http/context.ts';

/** Cleans up for `cleanupMsMax`, and leaves a row and a line with the counts. @throws store_unavailable if Postgres is away */
export async function runCleanup(
  { upkeep, jobRuns, log }: Pick<Services, 'upkeep' | 'jobRuns' | 'log'>,
  options: { batchesMax?: number } = {},
): Promise<UpkeepReport> {
  const report = await jobRuns.run('cleanup', () =>
    upkeep.run({ budgetMs: LIMITS.cleanupMsMax, ...options }),
  );
  const { counts, left, failed } = report;
  log('info', 'cleanup', { counts, left, failed });
  return report;
}
