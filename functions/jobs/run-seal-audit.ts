import type { SealReport } from '../../src/audit/audit-sealer.ts';
import { LIMITS } from '../../src/world/limits.ts';
import type { Services } from '../http/context.ts';
import { describeError } from '../http/describe-error.ts';

/** Seals for `auditSealMsMax`. A run that sealed something leaves a row. @throws store_unavailable if Postgres is away */
export async function runSealAudit({
  sealer,
  jobRuns,
  log,
}: Pick<Services, 'sealer' | 'jobRuns' | 'log'>): Promise<SealReport> {
  return jobRuns.runOften(
    'seal-audit',
    () => sealer.run({ budgetMs: LIMITS.auditSealMsMax }),
    (cause) => log('warn', 'job_run_not_noted', { causes: describeError(cause) }),
  );
}
