import { type SQL, sql } from 'drizzle-orm';
import { uuidv7 } from 'uuidv7';
import type { LogAddress } from '../../log/log-stores.ts';
import type {
  Batch,
  BatchOutcome,
  DeadOperation,
  Incident,
  NoEffect,
  WrittenKey,
} from '../../world/batch.ts';
import type { LogOperation, OperationResult } from '../../world/operation.ts';
import type { Seq } from '../../world/types.ts';
import { NumberColumn, toTexts } from '../array-literal.ts';
import { AuthorList } from '../author-list.ts';
import type { Postgres } from '../client.ts';
import { encodeOrigins } from './batch-origins.ts';
import {
  encodeAvatars,
  encodeMessages,
  encodePresumed,
  encodeSingles,
  isMove,
  ObjectRows,
} from './batch-rows.ts';
import { selectObject, toWritten } from './load-object.ts';

interface BatchRow {
  status: BatchOutcome['status'];
  atCursor: string | null;
  atIncarnation: string | null;
  unknown: number | null;
  absentObjects: string[] | null;
  absentUsers: string[] | null;
  absentMessages: string[] | null;
  noEffects: Pick<NoEffect, 'seq' | 'index' | 'status'>[] | null;
  dead: { id: string; seq: Seq; index: number; kind: DeadOperation['kind']; target: string }[] | null;
  poison: Partial<Record<'moves' | 'patches' | 'puts' | 'avatars' | 'messages', number[]>> | null;
}

/** Applies a stretch of the log in one call of apply_batch, which see. */
export async function applyBatch(
  postgres: Postgres,
  { tenantId, spaceId }: LogAddress,
  batch: Batch,
  { auditsMoves }: { auditsMoves: boolean },
): Promise<BatchOutcome> {
  const { incarnation, from, to, objects, avatars, singles, results, incidents } = batch;
  const { isDirect = false, messages = [], written = [], doubtful = [], presumed = [] } = batch;
  const { changes, posted } = batch.counts ?? { changes: 0, posted: 0 };
  const authors = new AuthorList();
  const rows = {
    moves: new ObjectRows(authors),
    patches: new ObjectRows(authors),
    puts: new ObjectRows(authors),
  };
  const deletes = new ObjectRows(authors);
  for (const change of objects) {
    if (change.kind === 'put') rows.puts.pushPut(change);
    else if (change.kind === 'delete') deletes.pushDelete(change);
    else if (isMove(change)) rows.moves.pushMove(change);
    else rows.patches.pushPatch(change);
  }
  const letterIds = singles.map(() => uuidv7());
  const { origins = [] } = batch;
  const requestIds = new Map(
    singles.length === 0 ? [] : origins.map(({ seq, requestId }) => [seq, requestId]),
  );
  const singleRows = encodeSingles(singles, letterIds, authors, requestIds);
  const originRows = encodeOrigins(batch, auditsMoves);
  // The only caller of a direct batch is answered here: nothing is stored for it.
  const [stored, returned] = isDirect ? [[], written[0]] : [written, undefined];
  const [[row], returnedRows] = await postgres.inTenant(tenantId, (db) => [
    db
      .select({
        status: sql<BatchRow['status']>`status`,
        atCursor: sql<string | null>`at_cursor`,
        atIncarnation: sql<string | null>`at_incarnation`,
        unknown: sql<number | null>`unknown`,
        dead: sql<BatchRow['dead']>`dead`,
        poison: sql<BatchRow['poison']>`poison`,
        absentObjects: sql<BatchRow['absentObjects']>`to_json(absent_objects)`,
        absentUsers: sql<BatchRow['absentUsers']>`to_json(absent_users)`,
        absentMessages: sql<BatchRow['absentMessages']>`to_json(absent_messages)`,
        noEffects: sql<BatchRow['noEffects']>`no_effects`,
      })
      .from(
        sql`apply_batch(${spaceId}, ${incarnation}, ${from}::bigint, ${to}::bigint, ${rows.moves.toSql()}, ${rows.patches.toSql()}, ${rows.puts.toSql()}, ${deletes.toSql()}, ${encodeAvatars(avatars)}, ${encodeMessages(messages)}, ${singleRows}, ${toTexts(authors.ids)}::text[], ${encodeResults(results)}, ${encodePresumed(presumed)}, ${encodeSeqs(stored)}, ${toTexts(stored.map(({ id }) => id))}::text[], ${toTexts(doubtful)}::text[], ${encodeIncidents(incidents)}, ${isDirect}::boolean, ${changes}::integer, ${posted}::integer, ${originRows}, ${auditsMoves}::boolean)`,
      ),
    ...(returned === undefined ? [] : [selectObject(db, tenantId, spaceId, returned.id)]),
  ]);
  switch (row?.status) {
    case 'applied':
      return {
        status: 'applied',
        unknown: row.unknown ?? 0,
        absent: {
          objects: row.absentObjects ?? [],
          users: row.absentUsers ?? [],
          messages: row.absentMessages ?? [],
        },
        noEffects: row.noEffects ?? [],
        dead: (row.dead ?? []).map(({ id, target, ...rest }) => ({
          deadLetterId: id,
          id: target,
          ...rest,
          propertyKeys: readPropertyKeys(singles[letterIds.indexOf(id)]?.op),
        })),
        ...(isDirect && { object: toWritten(returnedRows?.find(({ seq }) => seq === to)) }),
      };
    case 'moved':
      return { status: 'moved', cursor: Number(row.atCursor), incarnation: row.atIncarnation ?? '' };
    case 'poisoned': {
      const { poison } = row;
      const objectIds = (['moves', 'patches', 'puts'] as const).flatMap((kind) =>
        (poison?.[kind] ?? []).map((place) => rows[kind].ids[place - 1] ?? ''),
      );
      const userIds = (poison?.avatars ?? []).map((place) => avatars[place - 1]?.id ?? '');
      const messageIds = (poison?.messages ?? []).map((place) => messages[place - 1]?.id ?? '');
      return { status: 'poisoned', objectIds, userIds, messageIds };
    }
    case 'unknown_space':
    case 'log_open':
      return { status: row.status };
    default:
      throw new Error('apply_batch gave no outcome');
  }
}

/** As property_keys in the database has it. */
function readPropertyKeys(op: LogOperation | undefined): string[] {
  if (op?.op !== 'user.patch') return [];
  return Object.keys(op.properties ?? {}).filter((key) => key.isWellFormed() && !key.includes('\0'));
}

/** {seq: [{id, status}]} */
function encodeResults(results: readonly { seq: Seq; results: OperationResult[] }[]): SQL {
  const bySeq = Object.fromEntries(results.map(({ seq, results }) => [seq, results]));
  return sql`${JSON.stringify(bySeq).replaceAll('\\u0000', '\\ufffd')}::jsonb`;
}

function encodeSeqs(keys: readonly WrittenKey[]): SQL {
  const column = new NumberColumn();
  for (const { seq } of keys) column.push(seq);
  return sql`${`${column}`}::bigint[]`;
}

export function encodeIncidents(incidents: readonly Incident[]): SQL {
  return sql`${JSON.stringify(incidents.map((incident) => ({ id: uuidv7(), ...incident })))}::jsonb`;
}
