import type { WriteTarget } from '../log/world-log.ts';
import { AppError, notFound } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import type { ErasedPerson, ErasedRows, PersonTraces, WorldLog, WorldStore } from './world-stores.ts';

/** The parts besides Postgres that an erasure and an export need, if worlds have a log in Redis. */
export interface PersonParts {
  traces: PersonTraces;
  /** Returns the spilled requests of a space, and commits its log. */
  drainSpace(address: { tenantId: string; spaceId: string }, budget: { budgetMs: number }): Promise<unknown>;
  drainEvents(budget: { budgetMs: number }): Promise<unknown>;
}

export interface EraseContext {
  store: Pick<WorldStore, 'eraseUser' | 'listLogs' | 'listShownMessages'>;
  log: WorldLog;
  /** Null: there is no log in Redis. */
  parts: PersonParts | null;
  tenantId: string;
  /** Runs a write that states do not show before it ends. */
  invalidateWhile<T>(write: () => Promise<T>): Promise<T>;
  /** Deletes an object of the bucket that nothing names any more. Null: a sweep deletes it. */
  removeObject: ((tenantId: string, objectKey: string) => Promise<void>) | null;
  defer: (work: Promise<unknown>) => void;
}

/** The author of deletions that tell followers of the erasure. */
const ACTOR = 'worldkeep';
/** Spaces that are drained or trimmed at the same time. */
const LANES = 8;

/**
 * Erases a person from both stores. The log is committed first, so that no entry brings the person back. The messages that followers may
 * show are deleted through the log. Then the rows go, the entries of the log, and the keys. It may end anywhere: the next call continues.
 * @throws not_found if there is nothing; store_unavailable, also while the person still writes
 */
export async function erasePerson(context: EraseContext, userId: string): Promise<ErasedPerson> {
  const { store, parts, tenantId } = context;
  // Without Redis, a part of the person would stay, and nothing would say so.
  await parts?.traces.ping();
  await settlePerson(context, userId);
  if (parts !== null) await deleteShownMessages(context, userId);
  const rows: ErasedRows[] = [];
  const eraseRows = async () => {
    const erased = await context.invalidateWhile(() => store.eraseUser(tenantId, userId));
    if (erased === null) return;
    rows.push(erased.rows);
    if (erased.objectKey !== null) await context.removeObject?.(tenantId, erased.objectKey);
  };
  await eraseRows();
  let keys = 0;
  let hasEntries = false;
  if (parts !== null) {
    for (let round = 1; ; round++) {
      const { found, isTrimmed } = await forgetEverywhere(context, parts, userId);
      hasEntries ||= found;
      if (isTrimmed) break;
      if (round === LIMITS.erasureRoundsMax)
        throw new AppError(
          'store_unavailable',
          'The person still writes. Their sessions end within seconds: erase them again. Stop servers that write for them.',
          {
            retryAfterSeconds: 5,
          },
        );
      await settlePerson(context, userId);
      await eraseRows();
    }
    keys = await parts.traces.removeKeys(tenantId, userId);
  }
  if (rows.length === 0 && keys === 0 && !hasEntries) throw notFound('this person');
  return { ...sum(rows), keys };
}

/** Commits the logs that name the person, and the events. */
export async function settlePerson(
  {
    store,
    parts,
    tenantId,
  }: Pick<EraseContext, 'parts' | 'tenantId'> & { store: Pick<WorldStore, 'listLogs'> },
  userId: string,
): Promise<void> {
  if (parts === null) return;
  const budget = { budgetMs: LIMITS.drainMsMax };
  const logs = await store.listLogs(tenantId);
  const named = await parts.traces.find(tenantId, logs, userId);
  const pending = new Set(logs.filter(({ isSpilled }) => isSpilled));
  for (const { log, seq } of named) if (seq !== null) pending.add(log);
  await forEach([...pending], async ({ spaceId }) => {
    await parts.drainSpace({ tenantId, spaceId }, budget);
  });
  await parts.drainEvents(budget);
}

/** Followers hide these messages, as they hide any deleted message. */
async function deleteShownMessages(
  { store, log, tenantId, defer }: EraseContext,
  userId: string,
): Promise<void> {
  for (const { spaceId, ids } of await store.listShownMessages(tenantId, userId)) {
    const target: WriteTarget = { tenantId, spaceId, actor: ACTOR };
    const operations = ids.map((id) => ({ op: 'chat.delete', id }) as const);
    await log.commit(target, operations, { principal: null, defer });
  }
}

async function forgetEverywhere(
  { store, tenantId }: EraseContext,
  { traces }: PersonParts,
  userId: string,
): Promise<{ found: boolean; isTrimmed: boolean }> {
  const named = await traces.find(tenantId, await store.listLogs(tenantId), userId);
  let isTrimmed = true;
  await forEach(named, async ({ log, seq }) => {
    if (!(await traces.forget(tenantId, log, userId, seq))) isTrimmed = false;
  });
  return { found: named.length > 0, isTrimmed };
}

/** Does the work for some items at the same time. */
async function forEach<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const queue = [...items];
  const lanes = Array.from({ length: LANES }, async () => {
    for (let item = queue.pop(); item !== undefined; item = queue.pop()) await work(item);
  });
  await Promise.all(lanes);
}

function sum(all: readonly ErasedRows[]): ErasedRows {
  const total: ErasedRows = {
    ...{ profiles: 0, memberships: 0, sessions: 0, messages: 0, events: 0, days: 0 },
    ...{ deadLetters: 0, spilled: 0, authors: 0, files: 0, audit: 0 },
  };
  for (const rows of all)
    for (const kind of Object.keys(total) as (keyof ErasedRows)[]) total[kind] += rows[kind];
  return total;
}
