import type { ViewName } from '../../src/analytics/reports.ts';
import type { Services } from '../http/context.ts';

/** Refreshes the views of analytics, and leaves a row. @returns the milliseconds of each view @throws store_unavailable */
export async function runRefresh({
  analytics,
  jobRuns,
}: Pick<Services, 'analytics' | 'jobRuns'>): Promise<Partial<Record<ViewName, number>>> {
  const { counts } = await jobRuns.run('refresh-views', async () => ({
    counts: await analytics.refreshViews(),
  }));
  return counts;
}
