import { findNextTime } from '../helpers/cron.ts';
import { LIMITS } from '../world/limits.ts';
import { type Counts, JOB_NAMES, type JobName, type JobRun } from './upkeep-stores.ts';

/** When each job runs: five cron fields in UTC; null: nothing here starts it. */
export type JobSchedules = Readonly<Record<JobName, string | null>>;

/** Whether each run leaves a row. A row of another job says that there was work, which may be of another tenant. */
const LEAVES_EACH_RUN: Readonly<Record<JobName, boolean>> = {
  drain: false,
  cleanup: true,
  'refresh-views': true,
};

/** A job with its newest runs. */
export interface JobOverview {
  job: JobName;
  schedule: string | null;
  /** By the schedule; null without one. */
  nextRunAt: string | null;
  /** Null if it never ran, or if its runs are not shown. */
  lastRun: ShownRun | null;
  /** The newest first, `LIMITS.jobRunsShownMax` at most. */
  runs: ShownRun[];
}

export interface ShownRun {
  startedAt: string;
  endedAt: string | null;
  /** `failed` is also a run without an end after `LIMITS.jobRunSecondsMax`: its process died. */
  status: 'ok' | 'failed' | 'running';
  /** Null unless the details were asked for: they count rows of all tenants. */
  counts: Counts | null;
  /** The code of the failure; null without one, and as `counts`. */
  failure: string | null;
}

/** Sorts runs by job, and adds when each job runs next. */
export function summarizeJobs(
  runs: readonly JobRun[],
  schedules: JobSchedules,
  { nowMs, showsDetails }: { nowMs: number; showsDetails: boolean },
): JobOverview[] {
  return JOB_NAMES.map((job) => {
    const schedule = schedules[job];
    const own = runs
      .filter((run) => run.job === job && (showsDetails || LEAVES_EACH_RUN[job]))
      .toSorted((a, b) => Date.parse(b.startedAt) - Date.parse(a.startedAt))
      .map((run) => showRun(run, nowMs, showsDetails));
    return {
      job,
      schedule,
      nextRunAt: schedule === null ? null : findNextRun(schedule, nowMs),
      lastRun: own[0] ?? null,
      runs: own,
    };
  });
}

function showRun(
  { startedAt, endedAt, failure, counts }: JobRun,
  nowMs: number,
  showsDetails: boolean,
): ShownRun {
  const isOver = endedAt !== null || nowMs - Date.parse(startedAt) > LIMITS.jobRunSecondsMax * 1_000;
  return {
    startedAt,
    endedAt,
    status: !isOver ? 'running' : endedAt !== null && failure === null ? 'ok' : 'failed',
    counts: showsDetails ? counts : null,
    failure: showsDetails ? failure : null,
  };
}

function findNextRun(schedule: string, nowMs: number): string | null {
  const nextMs = findNextTime(schedule, nowMs);
  return nextMs === null ? null : new Date(nextMs).toISOString();
}
