import { sql } from 'drizzle-orm';
import type { EventBatch, EventTable } from '../../events/event-stores.ts';
import type { Seq } from '../../world/types.ts';
import type { Postgres } from '../client.ts';

/** Stores events in one call of store_events, which see. */
export async function storeEvents(
  postgres: Postgres,
  { log, entries }: EventBatch,
): ReturnType<EventTable['storeEvents']> {
  // The events stay text: nothing here needs to read them.
  const texts = entries.map(
    ({ tenantId, seq, events }) =>
      `{"tenant":${JSON.stringify(tenantId)},"created":${JSON.stringify(toTime(seq))},"events":${events}}`,
  );
  const [[row]] = await postgres.inTenant('', (db) => [
    db
      .select({
        status: sql<'stored' | 'moved'>`status`,
        stored: sql<number | null>`stored`,
        refused: sql<number | null>`refused`,
        atCursor: sql<string | null>`at_cursor`,
      })
      .from(
        sql`store_events(${log?.name ?? null}, ${log?.from ?? 0}::bigint, ${log?.to ?? 0}::bigint, ${`[${texts.join(',')}]`}::json)`,
      ),
  ]);
  if (row === undefined) throw new Error('store_events gave no outcome');
  return row.status === 'moved'
    ? { status: 'moved', cursor: Number(row.atCursor) }
    : { status: 'stored', stored: row.stored ?? 0, refused: row.refused ?? 0 };
}

function toTime(seq: Seq | null): string | null {
  return seq === null ? null : new Date(seq / 1_000).toISOString();
}
