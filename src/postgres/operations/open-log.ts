import { and, eq, sql } from 'drizzle-orm';
import { uuidv7 } from 'uuidv7';
import type { LogAddress, OpenedLog, ReaderAhead } from '../../log/log-stores.ts';
import type { OperationResult } from '../../world/operation.ts';
import type { ChatRule, Seq } from '../../world/types.ts';
import { toTexts } from '../array-literal.ts';
import type { Database, Postgres } from '../client.ts';
import { writeResults } from '../schema/log.ts';
import { spaces } from '../schema/spaces.ts';
import { isLive } from './load-space.ts';

/** See open_log. @returns null where there is no such space. */
export async function openLog(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  { instance, isLogAbsent }: { instance: string; isLogAbsent: boolean },
): Promise<OpenedLog | null> {
  const [[row]] = await postgres.inTenant(tenantId, (db) => [
    db
      .select({
        incarnation: sql<string>`incarnation`,
        incarnationSeq: sql<string>`incarnation_seq`,
        cursor: sql<string>`log_cursor`,
        chat: sql<ChatRule>`chat`,
        wasOpen: sql<boolean>`was_open`,
        isLost: sql<boolean>`is_lost`,
      })
      .from(sql`open_log(${spaceId}, ${instance}, ${isLogAbsent}::boolean, ${uuidv7()})`),
  ]);
  if (row === undefined) return null;
  const { incarnation, incarnationSeq, cursor, chat, wasOpen, isLost } = row;
  const opened = { incarnation, incarnationSeq: Number(incarnationSeq), cursor: Number(cursor), chat };
  return wasOpen ? { ...opened, reopened: isLost ? 'lost' : 'open' } : opened;
}

/** See note_reader_ahead. @returns null where the space has no such incarnation. */
export async function noteReaderAhead(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  { incarnation, seen, last, next }: ReaderAhead,
): Promise<{ cursor: Seq; isNoted: boolean } | null> {
  const [[row]] = await postgres.inTenant(tenantId, (db) => [
    db
      .select({ cursor: sql<string>`log_cursor`, isNoted: sql<boolean>`is_noted` })
      .from(
        sql`note_reader_ahead(${spaceId}, ${incarnation}, ${seen}::bigint, ${last}::bigint, ${next}::bigint)`,
      ),
  ]);
  return row === undefined ? null : { cursor: Number(row.cursor), isNoted: row.isNoted };
}

export async function loadCursor(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
): Promise<(OpenedLog & { isLogOpen: boolean }) | null> {
  const [[row]] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({
          incarnation: spaces.incarnation,
          incarnationSeq: spaces.incarnationSeq,
          cursor: spaces.logCursor,
          chat: sql<ChatRule>`chat_rule(${spaces.settings})`,
          isLogOpen: sql<boolean>`${spaces.logInstance} is not null`,
        })
        .from(spaces)
        .where(isLive(tenantId, spaceId)),
    ],
    'snapshot',
  );
  return row ?? null;
}

function selectCursor(db: Database, tenantId: string, spaceId: string) {
  return db.select({ cursor: spaces.logCursor }).from(spaces).where(isLive(tenantId, spaceId));
}

/** The seqs of objects, 0 for a missing one. The cursor of a missing space is 0. */
export async function loadSeqs(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  ids: readonly string[],
): Promise<{ cursor: Seq; seqs: Map<string, Seq> }> {
  const [[space], objects] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({ cursor: spaces.logCursor, generationSeq: spaces.generationSeq })
        .from(spaces)
        .where(isLive(tenantId, spaceId)),
      db
        .select({ id: sql<string>`object_id`, seq: sql<string>`seq` })
        .from(sql`find_objects(${spaceId}, ${toTexts(ids)}::text[])`),
    ],
    'snapshot',
  );
  const { cursor = 0, generationSeq = 0 } = space ?? {};
  const seqs = new Map(ids.map((id) => [id, 0]));
  for (const { id, seq } of objects) seqs.set(id, Number(seq) || generationSeq);
  return { cursor, seqs };
}

/** @returns null while the cursor is before `seq`, or where the space is not there. */
export async function readResults(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  firstSeq: Seq,
  seq: Seq,
): Promise<Map<Seq, OperationResult[]> | null> {
  const [[space], rows] = await postgres.inTenant(
    tenantId,
    (db) => [
      selectCursor(db, tenantId, spaceId),
      db
        .select({ seq: writeResults.seq, results: writeResults.results })
        .from(writeResults)
        .where(
          and(
            eq(writeResults.tenantId, tenantId),
            eq(writeResults.spaceId, spaceId),
            sql`${writeResults.seq} between ${firstSeq}::bigint and ${seq}::bigint`,
          ),
        ),
    ],
    'snapshot',
  );
  if (space === undefined || space.cursor < seq) return null;
  return new Map(rows.map((row) => [row.seq, row.results]));
}
