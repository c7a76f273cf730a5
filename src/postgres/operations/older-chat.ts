import { and, asc, eq, lte, sql } from 'drizzle-orm';
import { notFound } from '../../world/errors.ts';
import type { ChatMessage, Space } from '../../world/types.ts';
import type { Database, Postgres } from '../client.ts';
import { messageColumns, toMessage } from '../rows.ts';
import { chatMessages } from '../schema/spaces.ts';
import { selectVersion } from './select-metadata.ts';

/** Messages of one page. At 4,000 characters each a page is at most about 3 MiB. */
const PAGE_MESSAGES_MAX = 200;

/**
 * The messages before one message, oldest first, page by page. All pages are of the moment at which the space was read: later messages
 * and deletions have later seqs. @throws not_found if the space is deleted meanwhile
 */
export async function* readOlderChat(
  postgres: Postgres,
  tenantId: string,
  { id: spaceId, seq }: Space,
  before: ChatMessage,
): AsyncGenerator<ChatMessage[]> {
  for (let after: string | null = null; ; ) {
    const [[version], page]: Page = await postgres.inTenant(
      tenantId,
      (db) => [
        selectVersion(db, tenantId, spaceId),
        selectPage(db, tenantId, spaceId, { after, before: before.id, seqMax: seq }),
      ],
      'snapshot',
    );
    if (version === undefined) throw notFound('this space');
    if (page.length > 0) yield page.map(toMessage);
    if (page.length < PAGE_MESSAGES_MAX) return;
    after = page.at(-1)?.id ?? null;
  }
}

type Page = [Awaited<ReturnType<typeof selectVersion>>, Awaited<ReturnType<typeof selectPage>>];

function selectPage(
  db: Database,
  tenantId: string,
  spaceId: string,
  { after, before, seqMax }: { after: string | null; before: string; seqMax: number },
) {
  const m = chatMessages;
  // By the message and not by its time: a state shows fewer digits of a time than Postgres stores.
  const placeOf = (id: string) =>
    sql`(select ${m.createdAt}, ${m.messageId} from ${m} where ${m.tenantId} = ${tenantId} and ${m.spaceId} = ${spaceId} and ${m.messageId} = ${id})`;
  const place = sql`(${m.createdAt}, ${m.messageId})`;
  return db
    .select(messageColumns)
    .from(m)
    .where(
      and(
        ...[eq(m.tenantId, tenantId), eq(m.spaceId, spaceId), lte(m.seq, seqMax)],
        sql`(${m.deletedAt} is null or ${m.deletedAt} > seq_to_time(${seqMax}::bigint))`,
        sql`${place} < ${placeOf(before)}`,
        after === null ? undefined : sql`${place} > ${placeOf(after)}`,
      ),
    )
    .orderBy(asc(m.createdAt), asc(m.messageId))
    .limit(PAGE_MESSAGES_MAX);
}
