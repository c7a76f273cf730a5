import type { JobRunStore, UpkeepStore } from '../jobs/upkeep-stores.ts';
import type { Postgres } from './client.ts';
import { addAuditDays, dropAuditDay } from './operations/audit-days.ts';
import { cleanRecords } from './operations/clean-records.ts';
import { cleanRemovals } from './operations/clean-removals.ts';
import { cleanWorlds } from './operations/clean-worlds.ts';
import { endExpiredSessions } from './operations/end-expired-sessions.ts';
import { addEventDays, dropEventDay } from './operations/event-days.ts';
import { cleanEventLogs, cleanJobRuns, endRun, listRuns, startRun } from './operations/job-runs.ts';
import { listDeletedSpaces, purgeSpace } from './operations/purge-space.ts';

/**
 * The store of Upkeep and JobRuns, on Postgres: each method is the operation of the same name.
 * @param writesEvents whether a session that expired gets its `session.end`
 */
export function createUpkeepStore(
  postgres: Postgres,
  { writesEvents = true }: { writesEvents?: boolean } = {},
): UpkeepStore & JobRunStore {
  return {
    cleanRecords: (...args) => cleanRecords(postgres, ...args),
    cleanRemovals: (...args) => cleanRemovals(postgres, ...args),
    cleanWorlds: (...args) => cleanWorlds(postgres, ...args),
    addEventDays: (...args) => addEventDays(postgres, ...args),
    dropEventDay: (...args) => dropEventDay(postgres, ...args),
    addAuditDays: () => addAuditDays(postgres),
    dropAuditDay: () => dropAuditDay(postgres),
    endExpiredSessions: (limit) => endExpiredSessions(postgres, writesEvents, limit),
    listDeletedSpaces: (...args) => listDeletedSpaces(postgres, ...args),
    purgeSpace: (...args) => purgeSpace(postgres, ...args),
    cleanJobRuns: (...args) => cleanJobRuns(postgres, ...args),
    cleanEventLogs: (...args) => cleanEventLogs(postgres, ...args),
    startRun: (...args) => startRun(postgres, ...args),
    endRun: (...args) => endRun(postgres, ...args),
    listRuns: (...args) => listRuns(postgres, ...args),
  };
}
