import { type SQL, sql } from 'drizzle-orm';
import type { Batch, Origin } from '../../world/batch.ts';
import type { Seq } from '../../world/types.ts';
import { NumberColumn, TextColumn, toTexts } from '../array-literal.ts';
import { AuthorList } from '../author-list.ts';
import { isMove } from './batch-rows.ts';

/**
 * Rows of `batch_origins`: only the entries that an audit row may name. A row of the batch names its last entry, or the last one that did
 * more than move it. A moved object is audited only with `auditsMoves`.
 */
export function encodeOrigins(
  { objects, avatars, messages = [], origins = [] }: Batch,
  auditsMoves: boolean,
): SQL {
  const named = new Set<Seq>();
  const [objectIds, userIds] = [new TextColumn(), new TextColumn()];
  const [objectSeqs, userSeqs] = [new NumberColumn(), new NumberColumn()];
  for (const change of objects) {
    if (change.kind === 'patch' && !auditsMoves && isMove(change)) continue;
    const seq = (auditsMoves || change.kind === 'delete' ? undefined : change.contentSeq) ?? change.seq;
    named.add(seq);
    // The row of a deleted object has the seq of an earlier batch.
    if (seq === change.seq && change.kind === 'patch') continue;
    if (seq === change.seq && change.kind === 'put' && !change.isNew) continue;
    objectIds.push(change.id);
    objectSeqs.push(seq);
  }
  for (const { id, seq: last, contentSeq } of avatars) {
    const seq = (auditsMoves ? undefined : contentSeq) ?? last;
    named.add(seq);
    if (seq === last) continue;
    userIds.push(id);
    userSeqs.push(seq);
  }
  for (const { post, deletedSeq } of messages) {
    if (post !== null) named.add(post.seq);
    if (deletedSeq !== null) named.add(deletedSeq);
  }
  return toSql(origins.filter(({ seq }) => named.has(seq)));

  function toSql(entries: readonly Origin[]): SQL {
    // Not the authors of the batch: Postgres numbers those, and the author of a deletion or a message needs no number.
    const names = new AuthorList();
    const [seqs, places, requests] = [new NumberColumn(), new NumberColumn(), new TextColumn()];
    for (const { seq, actor, requestId } of entries) {
      seqs.push(seq);
      places.push(names.place(actor));
      requests.push(requestId);
    }
    return sql`row(${`${seqs}`}::bigint[], ${`${places}`}::integer[], ${`${requests}`}::text[], ${toTexts(names.ids)}::text[], ${`${objectIds}`}::text[], ${`${objectSeqs}`}::bigint[], ${`${userIds}`}::text[], ${`${userSeqs}`}::bigint[])::batch_origins`;
  }
}
