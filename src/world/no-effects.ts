import type { BatchOutcome, NoEffect } from './batch.ts';
import type { LogEntry } from './operation.ts';
import { findKind } from './operation-effects.ts';
import type { BatchPlan } from './plan-batch.ts';

type Applied = Pick<Extract<BatchOutcome, { status: 'applied' }>, 'absent' | 'noEffects'>;

/**
 * Names the operations of an applied batch that had no effect. The plan knows some of them. Postgres knows the missing
 * objects and people, and the outcomes of single operations.
 * @param entries the entries that the plan used
 */
export function findNoEffects(
  entries: readonly LogEntry[],
  { noEffects, singles }: Pick<BatchPlan, 'noEffects' | 'singles'>,
  outcome: Applied,
): NoEffect[] {
  const { objects, users, messages } = outcome.absent;
  if (objects.length + users.length + messages.length + outcome.noEffects.length === 0) return noEffects;
  const found = [...noEffects];
  const decided = new Set([...noEffects, ...singles].map(nameOf));
  const operations = new Map(singles.map((single) => [nameOf(single), single.op]));
  for (const { seq, index, status } of outcome.noEffects) {
    const op = operations.get(nameOf({ seq, index }));
    if (op !== undefined) found.push({ seq, index, status, id: op.id, kind: findKind(op) });
  }
  const absent = { object: new Set(objects), avatar: new Set(users), message: new Set(messages) };
  for (const { seq, ops } of entries) {
    for (const [index, op] of ops.entries()) {
      const kind = findKind(op);
      if (!absent[kind].has(op.id) || decided.has(nameOf({ seq, index }))) continue;
      // From here on it exists, and the plan decides the status.
      if (op.op === 'put' || op.op === 'chat.post') absent[kind].delete(op.id);
      else found.push({ seq, index, kind, id: op.id, status: 'unknown_object' });
    }
  }
  return found;
}

/**
 * The results of an applied batch. Only Postgres knows the outcomes of single operations: callers that wait read them
 * there, and their entries are left out here.
 */
export function findDecided(
  { results, singles, presumed }: Pick<BatchPlan, 'results' | 'singles' | 'presumed'>,
  { absent }: Pick<Applied, 'absent'>,
): BatchPlan['results'] {
  const { objects, users, messages } = absent;
  if (objects.length + users.length + messages.length > 0) {
    const gone = { object: new Set(objects), avatar: new Set(users), message: new Set(messages) };
    const bySeq = new Map(results.map(({ seq, results }) => [seq, results]));
    for (const { seq, index, kind, id } of presumed)
      if (gone[kind].has(id)) bySeq.get(seq)?.splice(index, 1, { id, status: 'unknown_object' });
  }
  const apart = new Set(singles.map(({ seq }) => seq));
  return results.filter(({ seq }) => !apart.has(seq));
}

function nameOf({ seq, index }: { seq: number; index: number }): string {
  return `${seq} ${index}`;
}
