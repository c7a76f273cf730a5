import { sql } from 'drizzle-orm';
import {
  bigint,
  check,
  index,
  integer,
  json,
  jsonb,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
} from 'drizzle-orm/pg-core';
import type { SpilledEntry } from '../../log/spill-store.ts';
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
    kind: text('kind').$type<'object' | 'avatar' | 'message' | 'stage'>().notNull(),
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

/**
 * Requests that were accepted while Redis was away. Each is appended to the log when Redis returns, under its key, and removed when
 * Postgres has its entries. Requests of one space return in the order of `spillId`.
 */
export const logSpill = pgTable(
  'log_spill',
  {
    tenantId: tenantId(),
    spaceId: id('space_id').notNull(),
    spillId: bigint('spill_id', { mode: 'number' }).generatedAlwaysAsIdentity().notNull(),
    incarnation: id('incarnation').notNull(),
    actor: id('actor'),
    requestId: text('request_id'),
    principal: text('principal').notNull(),
    /** The idempotency key: of the caller, or made by the server. */
    key: text('key').notNull(),
    fingerprint: text('fingerprint').notNull(),
    /** The callers' ids of its messages: each counts as another key. */
    messageIds: text('message_ids').array().notNull(),
    /** JSON text, which is never decoded on its way to the log. */
    entries: json('entries').$type<SpilledEntry[]>().notNull(),
    /** The ids of its messages, in order. */
    postedIds: text('posted_ids').array().notNull(),
    /** Bytes of the entries. */
    bytes: bigint('bytes', { mode: 'number' }).notNull(),
    /** Requests and bytes that were spilled since the space last had none, up to this one. */
    requestsTo: bigint('requests_to', { mode: 'number' }).notNull(),
    bytesTo: bigint('bytes_to', { mode: 'number' }).notNull(),
    /** Redis may have run an append of it, and remembers the key for so long. Null: no append was sent. */
    keyUntil: time('key_until'),
    /** Its place in the log, once a return has appended it. If Redis loses that entry, the next return appends it again. */
    appendedSeq: seqColumn('appended_seq'),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.tenantId, t.spaceId, t.spillId] }),
    uniqueIndex('log_spill_keys').on(t.tenantId, t.spaceId, t.incarnation, t.principal, t.key),
  ],
);
