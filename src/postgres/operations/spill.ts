import { and, eq, gt, sql } from 'drizzle-orm';
import { uuidv7 } from 'uuidv7';
import type { LogAddress } from '../../log/log-stores.ts';
import type { KeptRequest, SpilledEntry, SpillStore } from '../../log/spill-store.ts';
import { countBytes } from '../../world/check-operations.ts';
import { expandOperations } from '../../world/move.ts';
import type { AppendedOperation } from '../../world/operation.ts';
import { findKind } from '../../world/operation-effects.ts';
import { toTexts } from '../array-literal.ts';
import type { Postgres } from '../client.ts';
import { logSpill } from '../schema/log.ts';

type Keep = SpillStore['keep'];

/** See keep_spilled. */
export async function keepSpilled(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  {
    actor,
    requestId = null,
    principal,
    key,
    fingerprint,
    messageIds,
    entries,
    postedIds,
  }: Parameters<Keep>[1],
  { keySeconds, limits, incarnation }: Parameters<Keep>[2],
): ReturnType<Keep> {
  const bytes = entries.reduce((sum, { ops }) => sum + countBytes(ops), 0);
  const [[row]] = await postgres.inTenant(tenantId, (db) => [
    db
      .select({ status: sql<'kept' | 'key_reused' | 'full'>`status`, postedIds: sql<string[]>`posted_ids` })
      .from(
        sql`keep_spilled(
          ${spaceId}, ${actor}, ${requestId}, ${principal}, ${key}, ${fingerprint}, ${toTexts(messageIds)}::text[],
          ${JSON.stringify(entries)}::json, ${toTexts(postedIds)}::text[], ${bytes}::bigint, ${keySeconds}::integer,
          ${limits.bytesMax}::bigint, ${limits.requestsMax}::integer, ${incarnation ?? null})`,
      ),
  ]);
  return row ?? null;
}

/** See find_spilled. */
export async function findSpilled(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  { principal, key, fingerprint, messageIds }: Parameters<SpillStore['find']>[1],
): ReturnType<SpillStore['find']> {
  const [[row]] = await postgres.inTenant(tenantId, (db) => [
    db
      .select({ status: sql<'kept' | 'key_reused'>`status`, postedIds: sql<string[]>`posted_ids` })
      .from(
        sql`find_spilled(${spaceId}, ${principal}, ${key}, ${fingerprint}, ${toTexts(messageIds)}::text[])`,
      ),
  ]);
  return row ?? null;
}

/** The oldest requests of a space behind `after`, in order: at most so many, and so many bytes (but at least one). */
export async function listSpilled(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  { after = 0, requestsMax, bytesMax }: { after?: number; requestsMax: number; bytesMax: number },
): Promise<KeptRequest[]> {
  const [rows] = await postgres.inTenant(
    tenantId,
    (db) => {
      const page = db
        .select({
          ...spillColumns,
          bytesBefore: sql<number>`sum(bytes) over (order by spill_id) - bytes`.as('bytes_before'),
        })
        .from(logSpill)
        .where(and(isOfSpace(tenantId, spaceId), gt(logSpill.spillId, after)))
        .orderBy(logSpill.spillId)
        .limit(requestsMax)
        .as('page');
      return [db.select().from(page).where(sql`bytes_before < ${bytesMax}::bigint`).orderBy(page.spillId)];
    },
    'snapshot',
  );
  return rows.map(({ bytesBefore: _, ...row }) => ({ ...row, spilledMs: Number(row.spilledMs) }));
}

const spillColumns = {
  spillId: logSpill.spillId,
  incarnation: logSpill.incarnation,
  actor: logSpill.actor,
  requestId: logSpill.requestId,
  principal: logSpill.principal,
  key: logSpill.key,
  fingerprint: logSpill.fingerprint,
  messageIds: logSpill.messageIds,
  entries: logSpill.entries,
  postedIds: logSpill.postedIds,
  spilledMs: sql<number>`floor(extract(epoch from ${logSpill.createdAt}) * 1000)`.as('spilled_ms'),
  isKeyForgotten: sql<boolean>`coalesce(${logSpill.keyUntil} < now(), false)`.as('is_key_forgotten'),
  appendedSeq: logSpill.appendedSeq,
};

/** Notes that these are about to be appended. An earlier append of them counts as before. */
export async function noteSpilledSent(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  spillIds: readonly number[],
  keySeconds: number,
): Promise<void> {
  await postgres.inTenant(tenantId, (db) => [
    db
      .update(logSpill)
      .set({ keyUntil: sql`now() + make_interval(secs => ${keySeconds}::integer)` })
      .where(and(isOneOf(tenantId, spaceId, spillIds), sql`key_until is null`)),
  ]);
}

export async function noteSpilledAppended(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  places: Parameters<SpillStore['noteAppended']>[1],
): Promise<void> {
  const seqs = sql`jsonb_to_recordset(${JSON.stringify(places)}::jsonb) as place ("spillId" bigint, seq bigint)`;
  await postgres.inTenant(tenantId, (db) => [
    db
      .update(logSpill)
      .set({ appendedSeq: sql`place.seq` })
      .from(seqs)
      .where(and(isOfSpace(tenantId, spaceId), sql`spill_id = place."spillId"`)),
  ]);
}

export async function removeSpilled(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  spillIds: readonly number[],
): Promise<void> {
  await postgres.inTenant(tenantId, (db) => [
    db.delete(logSpill).where(isOneOf(tenantId, spaceId, spillIds)),
  ]);
}

/** Moves a request to the dead letters, one letter for each operation. Of two processes, one does. */
export async function burySpilled(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  { spillId, entries }: KeptRequest,
): Promise<number> {
  const letters = entries.flatMap(({ ops }: SpilledEntry) =>
    expandOperations(JSON.parse(ops) as AppendedOperation[]).map((op, index) => ({
      ...{ id: uuidv7(), index, kind: findKind(op), target: op.id, op },
    })),
  );
  const [[row]] = await postgres.inTenant(tenantId, (db) => [
    db
      .select({ count: sql<number>`count` })
      .from(sql`bury_spilled(${spaceId}, ${spillId}::bigint, ${JSON.stringify(letters)}::json) as count`),
  ]);
  return row?.count ?? 0;
}

/** See list_spilled_spaces. */
export async function listSpilledSpaces(
  postgres: Postgres,
  instance: string,
  limit: number,
): Promise<LogAddress[]> {
  const [rows] = await postgres.inTenant('', (db) => [
    db
      .select({ tenantId: sql<string>`tenant_id`, spaceId: sql<string>`space_id` })
      .from(sql`list_spilled_spaces(${instance}, ${limit}::integer)`),
  ]);
  return rows;
}

function isOfSpace(tenantId: string, spaceId: string) {
  return and(eq(logSpill.tenantId, tenantId), eq(logSpill.spaceId, spaceId));
}

function isOneOf(tenantId: string, spaceId: string, spillIds: readonly number[]) {
  return and(
    isOfSpace(tenantId, spaceId),
    sql`${logSpill.spillId} = any(${`{${spillIds.join(',')}}`}::bigint[])`,
  );
}
