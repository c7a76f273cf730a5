import type { JobName } from '../../src/jobs/upkeep-stores.ts';
import { AppError } from '../../src/world/errors.ts';
import type { AppContext } from '../http/context.ts';

type Handler = (c: AppContext) => Promise<Response>;

/** The same handler. It counts each run; a call without a valid signature runs nothing. */
export function countRuns(job: JobName, handler: Handler): Handler {
  return async (c) => {
    const count = (outcome: 'done' | 'failed') =>
      c.get('services').metrics.add('worldkeep_job_runs_total', { job_name: job, outcome });
    try {
      const response = await handler(c);
      count('done');
      return response;
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'unauthorized')) count('failed');
      throw error;
    }
  };
}
