import { sql } from 'drizzle-orm';
import type { Counts, JobName, JobRun } from '../../jobs/upkeep-stores.ts';
import type { Postgres } from '../client.ts';
import { asJson, toTime } from '../rows.ts';

export async function startRun(postgres: Postgres, id: string, job: JobName, startedAt: Date): Promise<void> {
  await postgres.inTenant('', (db) => [
    db.execute(sql`SELECT start_job_run(${id}, ${job}, ${startedAt.toISOString()}::timestamptz)`),
  ]);
}

export async function endRun(
  postgres: Postgres,
  id: string,
  failure: string | null,
  counts: Counts,
  endedAt: Date,
): Promise<void> {
  await postgres.inTenant('', (db) => [
    db.execute(
      sql`SELECT end_job_run(${id}, ${failure}, ${asJson(counts)}::jsonb, ${endedAt.toISOString()}::timestamptz)`,
    ),
  ]);
}

/** See list_job_runs. */
export async function listRuns(postgres: Postgres, limit: number): Promise<JobRun[]> {
  const [rows] = await postgres.inTenant('', (db) => [
    db
      .select({
        id: sql<string>`run_id`,
        job: sql<JobName>`job`,
        startedAt: sql<string>`started_at`,
        endedAt: sql<string | null>`ended_at`,
        failure: sql<string | null>`failure`,
        counts: sql<Counts>`counts`,
      })
      .from(sql`list_job_runs(${limit}::integer)`),
  ]);
  return rows.map((row) => ({
    ...row,
    startedAt: toTime(row.startedAt),
    endedAt: row.endedAt === null ? null : toTime(row.endedAt),
  }));
}

/** @returns how many runs that began before a time were removed. */
export async function cleanJobRuns(postgres: Postgres, before: Date, limit: number): Promise<number> {
  const [[row]] = await postgres.inTenant('', (db) => [
    db
      .select({ removed: sql<number>`removed` })
      .from(sql`clean_job_runs(${before.toISOString()}::timestamptz, ${limit}::integer) as removed`),
  ]);
  return Number(row?.removed);
}

/** The same of the places of events in the logs of each Redis that is gone. */
export async function cleanEventLogs(postgres: Postgres, before: Date, limit: number): Promise<number> {
  const [[row]] = await postgres.inTenant('', (db) => [
    db
      .select({ removed: sql<number>`removed` })
      .from(sql`clean_event_logs(${before.toISOString()}::timestamptz, ${limit}::integer) as removed`),
  ]);
  return Number(row?.removed);
}
