import { and, asc, desc, eq, isNull, type SQL, sql } from 'drizzle-orm';
import type { ChatMessage } from '../../world/types.ts';
import type { Database, Postgres } from '../client.ts';
import { messageColumns, toMessage } from '../rows.ts';
import { chatMessages, spaces } from '../schema/spaces.ts';
import { isLive } from './load-space.ts';

const m = chatMessages;
/** Messages of one page at most: at 4,000 characters each, an answer stays far below 10 MiB. */
const PAGE_MESSAGES_MAX = 200;

export interface MessagePlaces {
  limit: number;
  /** The id of a message, or a seq. */
  before: string | null;
  after: string | null;
}

/**
 * A page of messages, newest first. With `after` alone, it is the oldest messages after it; otherwise the newest before `before`.
 * @returns null if the space does not exist
 */
export async function listMessages(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
  { limit, before, after }: MessagePlaces,
): Promise<{ messages: ChatMessage[]; more: boolean } | 'unknown_before' | 'unknown_after' | null> {
  const isForward = before === null && after !== null;
  const rowsMax = Math.min(limit, PAGE_MESSAGES_MAX);
  const findPlace = (place: string | null, side: 'before' | 'after') =>
    selectPlace(tenantId, spaceId, place ?? '', side);
  const place = sql`(${m.createdAt}, ${m.messageId})`;
  const [[space], [known], rows] = await postgres.inTenant(
    tenantId,
    (db) => [
      db.select({ id: spaces.spaceId }).from(spaces).where(isLive(tenantId, spaceId)),
      selectKnown(db, findPlace(before, 'before'), findPlace(after, 'after')),
      db
        .select(messageColumns)
        .from(m)
        .where(
          and(
            ...[eq(m.tenantId, tenantId), eq(m.spaceId, spaceId), isNull(m.deletedAt)],
            before === null ? undefined : sql`${place} < (${findPlace(before, 'before')})`,
            after === null ? undefined : sql`${place} > (${findPlace(after, 'after')})`,
          ),
        )
        .orderBy(
          ...(isForward ? [asc(m.createdAt), asc(m.messageId)] : [desc(m.createdAt), desc(m.messageId)]),
        )
        .limit(rowsMax + 1),
    ],
    'snapshot',
  );
  if (space === undefined) return null;
  if (before !== null && !known?.before) return 'unknown_before';
  if (after !== null && !known?.after) return 'unknown_after';
  const messages = rows.slice(0, rowsMax).map(toMessage);
  return { messages: isForward ? messages.reverse() : messages, more: rows.length > rowsMax };
}

/** The place of a message in time: a deleted one has it too. A seq comes before its message, or after it. */
function selectPlace(tenantId: string, spaceId: string, place: string, side: 'before' | 'after'): SQL {
  const byId = sql`select ${m.createdAt}, ${m.messageId} from ${m}
    where ${m.tenantId} = ${tenantId} and ${m.spaceId} = ${spaceId} and ${m.messageId} = ${place}`;
  if (!/^\d{1,15}$|^[0-8]\d{15}$/.test(place)) return byId;
  const id = side === 'before' ? '' : '~';
  return sql`select * from (${byId} union all select seq_to_time(${place}::bigint), ${id}) as places limit 1`;
}

function selectKnown(db: Database, before: SQL, after: SQL) {
  return db
    .select({ before: sql<boolean>`exists (${before})`, after: sql<boolean>`exists (${after})` })
    .from(sql`(select) as once`);
}

/** @returns null for a message that does not exist, or is deleted. */
export async function loadMessage(
  postgres: Postgres,
  tenantId: string,
  spaceId: string,
  id: string,
): Promise<{ userId: string | null } | null> {
  const [[row]] = await postgres.inTenant(
    tenantId,
    (db) => [
      db
        .select({ userId: m.userId })
        .from(m)
        .innerJoin(spaces, and(eq(spaces.tenantId, m.tenantId), eq(spaces.spaceId, m.spaceId)))
        .where(and(isLive(tenantId, spaceId), eq(m.messageId, id), isNull(m.deletedAt))),
    ],
    'snapshot',
  );
  return row ?? null;
}
