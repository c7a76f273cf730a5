/** Kinds of rows that go after a time. See the SQL function clean_records. */
export type RecordKind =
  | 'results'
  | 'written'
  | 'dead_letters'
  | 'incidents'
  | 'messages'
  | 'sessions'
  | 'keys'
  | 'stages'
  | 'person_days'
  | 'space_days';

/** The rows that one call removed, and where the next call begins; null: nothing is left. */
export interface Cleaned {
  removed: number;
  next: string | null;
}

/** A deleted space, with the incarnation that was deleted. */
export interface DeletedSpace {
  tenantId: string;
  spaceId: string;
  incarnation: string;
}

/** Each call is one short transaction of at most `limit` rows. Days are ISO dates in UTC. All tenants are meant. */
export interface UpkeepStore {
  /** @param from where to begin: '', or `next` of the last call */
  cleanRecords(kind: RecordKind, before: Date, from: string, limit: number): Promise<Cleaned>;
  cleanRemovals(before: Date, from: string, limit: number): Promise<Cleaned>;
  cleanWorlds(from: string, limit: number): Promise<Cleaned>;
  /** @returns how many partitions were not there */
  addEventDays(from: string, days: number): Promise<number>;
  dropEventDay(before: string): Promise<'dropped' | 'busy' | 'none'>;
  /** Of the audit, today and a week ahead. @returns how many partitions were not there */
  addAuditDays(): Promise<number>;
  /** The oldest day of the audit that is over its time, which only the owner of the database sets. */
  dropAuditDay(): Promise<'dropped' | 'busy' | 'none'>;
  listDeletedSpaces(
    before: Date,
    from: string,
    limit: number,
  ): Promise<{ found: DeletedSpace[]; next: string | null }>;
  purgeSpace(
    space: DeletedSpace,
    before: Date,
    limit: number,
  ): Promise<{ status: 'continues' | 'gone' | 'kept'; removed: number }>;
  cleanJobRuns(before: Date, limit: number): Promise<number>;
  cleanEventLogs(before: Date, limit: number): Promise<number>;
  /** Ends sessions whose time is over, at their last heartbeat. @returns how many */
  endExpiredSessions(limit: number): Promise<number>;
}

export const JOB_NAMES = ['drain', 'cleanup', 'refresh-views'] as const;
export type JobName = (typeof JOB_NAMES)[number];

/** The counts of a job by step: rows, files or spaces. */
export type Counts = Record<string, number>;

/** One run of a job. */
export interface JobRun {
  id: string;
  job: JobName;
  startedAt: string;
  /** Null while it runs, or if its process died. */
  endedAt: string | null;
  failure: string | null;
  counts: Counts;
}

export interface JobRunStore {
  startRun(id: string, job: JobName, startedAt: Date): Promise<void>;
  endRun(id: string, failure: string | null, counts: Counts, endedAt: Date): Promise<void>;
  /** The newest of each job, the newest first. */
  listRuns(limit: number): Promise<JobRun[]>;
}
