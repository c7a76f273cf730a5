import { bigint, date, index, integer, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { id, seqColumn, tenantId, time } from './columns.ts';

/**
 * How far the events of a log in Redis are in Postgres. A Redis that lost its memory starts a log with another name. The table `events`
 * itself is in a migration only, because drizzle has no partitions.
 */
export const eventLogs = pgTable('event_logs', {
  logName: text('log_name').primaryKey(),
  cursor: seqColumn('cursor').notNull(),
  updatedAt: time('updated_at').notNull().defaultNow(),
});

/** Days on which a person was in a space, in UTC. Events are deleted after a month; these days show who returned after one. */
export const personDays = pgTable(
  'person_days',
  {
    tenantId: tenantId(),
    userId: id('user_id').notNull(),
    day: date('day').notNull(),
    /** Empty for events that name no space. */
    spaceId: id('space_id').notNull(),
    /** Sessions that began on this day. */
    sessions: integer('sessions').notNull().default(0),
    /** Seconds of sessions that ended on this day. */
    seconds: bigint('seconds', { mode: 'number' }).notNull().default(0),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.userId, t.day, t.spaceId] }),
    index('person_days_by_day').on(t.tenantId, t.day, t.spaceId),
  ],
);

/** The changes and messages of a space on a day, in UTC. Each batch adds its own in its transaction. */
export const spaceDays = pgTable(
  'space_days',
  {
    tenantId: tenantId(),
    spaceId: id('space_id').notNull(),
    day: date('day').notNull(),
    /** Operations that changed objects and avatars. */
    changes: bigint('changes', { mode: 'number' }).notNull().default(0),
    messages: bigint('messages', { mode: 'number' }).notNull().default(0),
  },
  (t) => [primaryKey({ columns: [t.tenantId, t.spaceId, t.day] })],
);

/** Each run of a job of the whole deployment. */
export const jobRuns = pgTable(
  'job_runs',
  {
    runId: text('run_id').primaryKey(),
    job: text('job').$type<'drain' | 'cleanup' | 'refresh-views' | 'seal-audit'>().notNull(),
    startedAt: time('started_at').notNull().defaultNow(),
    /** Null while it runs, or if its process died. */
    endedAt: time('ended_at'),
    /** The SQLSTATE or code of its failure. */
    failure: text('failure'),
    /** By step: rows, files or spaces. */
    counts: jsonb('counts').$type<Record<string, number>>().notNull().default({}),
  },
  (t) => [index('job_runs_newest').on(t.job, t.startedAt)],
);
