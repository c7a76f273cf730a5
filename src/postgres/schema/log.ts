import { sql } from 'drizzle-orm';
import { check, index, integer, json, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import type { OperationResult } from '../../world/operation.ts';
import type { JsonObject } from '../../world/types.ts';
import { id, idCheck, seqColumn, tenantId, time } from './columns.ts';

/**
 * Operations that Postgres could not keep, and why. `op` is the text that was sent, for it may hold what no jsonb does.
 * Neither space nor actor need be there any more. `corrected_at`: the log has since said what is true instead.
 */
export const deadLetters = pgTable(
  'dead_letters',
  {
    tenantId: tenantId(),
    deadLetterId: id('dead_letter_id').notNull(),
    spaceId: id('space_id').notNull(),
    incarnation: id('incarnation').notNull(),
    seq: seqColumn('seq').notNull(),
    index: integer('index').notNull(),
    actor: id('actor'),
    kind: text('kind').$type<'object' | 'avatar' | 'stage'>().notNull(),
    targetId: id('target_id').notNull(),
    op: json('op').notNull(),
    sqlState: text('sql_state'),
    constraintName: text('constraint_name'),
    createdAt: time('created_at').notNull().defaultNow(),
    correctedAt: time('corrected_at'),
    /** Since when a caller has been sending it again; a claim that is over a minute old holds no longer. */
    replayClaimedAt: time('replay_claimed_at'),
    replayedAt: time('replayed_at'),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.deadLetterId] }),
    index('dead_letters_uncorrected').on(t.tenantId, t.spaceId, t.seq).where(sql`corrected_at is null`),
    index('dead_letters_oldest').on(t.tenantId, t.createdAt),
    idCheck('dead_letters_id_form', t.deadLetterId),
    check('dead_letters_kind_known', sql`${t.kind} in ('object', 'avatar', 'message', 'stage')`),
  ],
);

/** The outcomes of an entry with a waiting caller, one result per operation. */
export const writeResults = pgTable(
  'write_results',
  {
    tenantId: tenantId(),
    spaceId: id('space_id').notNull(),
    seq: seqColumn('seq').notNull(),
    results: jsonb('results').$type<OperationResult[]>().notNull(),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.spaceId, t.seq] }),
    index('write_results_oldest').on(t.tenantId, t.createdAt),
  ],
);

/** Problems that were found in a space's log. */
export const incidents = pgTable(
  'incidents',
  {
    tenantId: tenantId(),
    incidentId: id('incident_id').notNull(),
    spaceId: id('space_id').notNull(),
    kind: text('kind').notNull(),
    detail: jsonb('detail').$type<JsonObject>().notNull(),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.incidentId] }),
    index('incidents_oldest').on(t.tenantId, t.createdAt),
    idCheck('incidents_id_form', t.incidentId),
    check(
      'incidents_kind_known',
      sql`${t.kind} in ('log_lost', 'log_gap', 'redis_restarted', 'reader_ahead')`,
    ),
  ],
);
