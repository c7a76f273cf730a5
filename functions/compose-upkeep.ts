import { uuidv7 } from 'uuidv7';
import { type Config, readRetention, readSchedules } from '../src/config.ts';
import { JobRuns } from '../src/jobs/job-runs.ts';
import type { JobSchedules } from '../src/jobs/job-schedules.ts';
import { Upkeep } from '../src/jobs/upkeep.ts';
import type { AssetLibrary } from '../src/library/asset-library.ts';
import type { Postgres } from '../src/postgres/client.ts';
import { createUpkeepStore } from '../src/postgres/upkeep-store.ts';
import type { RedisClient } from '../src/redis/client.ts';
import { createForgetSpace } from '../src/redis/forget-space.ts';
import type { KnownLogs } from '../src/redis/known-logs.ts';
import { describeError } from './http/describe-error.ts';
import type { Log } from './http/log.ts';

/** The cleanup, and the rows that runs of jobs leave. */
export function openUpkeep(
  config: Config,
  postgres: Postgres,
  {
    redis,
    known,
    assets,
    now,
    log,
  }: {
    redis: RedisClient | null;
    known: KnownLogs | null;
    assets: AssetLibrary;
    now: () => number;
    log: Log;
  },
): { upkeep: Upkeep; jobRuns: JobRuns; jobSchedules: JobSchedules } {
  const store = createUpkeepStore(postgres, { writesEvents: config.analyticsEnabled });
  const upkeep = new Upkeep(store, {
    now,
    retention: readRetention(config),
    forgetSpace: redis && known && createForgetSpace(redis, known),
    sweepObjects: (objectsMax) => assets.sweep({ objectsMax }),
    onFailure: (step, cause) => log('warn', 'cleanup_step_failed', { step, causes: describeError(cause) }),
  });
  const jobRuns = new JobRuns(store, { now, createId: uuidv7 });
  return { upkeep, jobRuns, jobSchedules: readSchedules(config) };
}
