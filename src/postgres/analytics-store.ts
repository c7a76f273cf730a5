import type { AnalyticsStore } from '../analytics/analytics.ts';
import type { Postgres } from './client.ts';
import { readReport } from './operations/read-report.ts';
import { refreshView } from './operations/refresh-view.ts';

/**
 * The store of Analytics, on Postgres.
 * @param slow the same database, with more time for a transaction: a refresh reads all rows of all tenants
 */
export function createAnalyticsStore(postgres: Postgres, slow: Postgres): AnalyticsStore {
  return {
    readReport: (...args) => readReport(postgres, ...args),
    ping: () => postgres.ping(),
    refreshView: (...args) => refreshView(slow, ...args),
  };
}
