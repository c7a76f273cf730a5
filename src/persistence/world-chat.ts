import type { AppendOptions, CommittedOperations, Queued } from '../log/space-log.ts';
import type { Spilled } from '../log/world-log.ts';
import { readCursor, writeCursor } from '../world/cursor.ts';
import { AppError, notFound } from '../world/errors.ts';
import { check, checkPageLimit, messageSchema } from '../world/schemas.ts';
import { seqToTime } from '../world/seq-time.ts';
import type { ChatMessage, Page, Seq } from '../world/types.ts';
import type { ReadContext } from './world-reads.ts';
import { commit, type WriteContext } from './world-writes.ts';

/** Where a list of messages begins or ends: the id of a message, or a seq. */
export interface ChatPage {
  limit?: number | string | undefined;
  cursor?: string | undefined;
  before?: string | undefined;
  after?: string | undefined;
}

export interface PostOptions extends Pick<AppendOptions, 'idempotency' | 'onBudget'> {
  spaceId?: string | undefined;
  /** False: the answer does not wait for the commit. */
  waits?: boolean;
}

/** A message that was posted, and the store that holds it. A spilled message gets its place in the order, and so its time, later. */
export type PostedMessage =
  | { message: ChatMessage; durability: 'queued' | 'committed' }
  | { message: Omit<ChatMessage, 'seq' | 'createdAt'>; durability: 'spilled' | 'memory' };

/** @param append appends one operation as a caller sends it. */
export async function postMessage(
  input: unknown,
  person: string | null,
  append: (operation: unknown) => Promise<Queued | CommittedOperations | Spilled>,
): Promise<PostedMessage> {
  const { text, kind = 'text', userId = person, ...rest } = check(messageSchema, input);
  const outcome = await append({ op: 'chat.post', ...rest, text, kind, userId });
  const [id] = outcome.messageIds ?? [];
  if (id === undefined) throw new AppError('internal', 'A message was posted without an id.');
  if (!('seq' in outcome)) return { message: { id, userId, text, kind }, durability: outcome.status };
  const { seq, status } = outcome;
  return { message: { id, userId, text, kind, seq, createdAt: seqToTime(seq) }, durability: status };
}

/**
 * Deletes a message.
 * @param person if given, the message must be theirs
 * @throws not_found, forbidden, WriteQueued
 */
export async function deleteMessage(
  writes: WriteContext,
  reads: ReadContext,
  id: string,
  person: string | null,
): Promise<{ seq: Seq }> {
  if (person !== null) {
    const author = await findAuthor(reads, id);
    if (author !== person)
      throw new AppError(
        'forbidden',
        'Only the author of a message, an owner of the space or an API key can delete it.',
      );
  }
  const { seq } = await commit(writes, { op: 'chat.delete', id }, false);
  return { seq };
}

/** A message that was just posted may be only in the log. */
async function findAuthor({ store, state, address, defer }: ReadContext, id: string): Promise<string | null> {
  const { tenantId, spaceId } = address;
  const found = await store.loadMessage(tenantId, spaceId, id);
  if (found !== null) return found.userId;
  await state?.waitUntilCommitted(address, defer);
  const committed = await store.loadMessage(tenantId, spaceId, id);
  if (committed === null) throw notFound('this message in this space');
  return committed.userId;
}

/**
 * A page of messages, newest first. With `after` alone, the page is the oldest after it, and `cursor` continues towards
 * newer messages.
 */
export async function listMessages(
  { store, state, address, defer }: ReadContext,
  page: ChatPage,
): Promise<Page<ChatMessage>> {
  const limit = checkPageLimit(page.limit);
  const isForward = page.before === undefined && page.after !== undefined;
  const continued = readCursor(page.cursor) || undefined;
  const before = (isForward ? undefined : (continued ?? page.before)) ?? null;
  const after = (isForward ? (continued ?? page.after) : page.after) ?? null;
  await state?.waitUntilCommitted(address, defer);
  const { tenantId, spaceId } = address;
  const found = await store.listMessages(tenantId, spaceId, { limit, before, after });
  if (found === null) throw notFound('this space');
  if (found === 'unknown_before' || found === 'unknown_after')
    throw new AppError('validation_failed', 'The input is not valid.', {
      errors: [
        {
          path: found === 'unknown_before' ? '/before' : '/after',
          message: 'must be the id of a message in this space, or a seq',
        },
      ],
    });
  const { messages, more } = found;
  const last = isForward ? messages[0] : messages.at(-1);
  return { items: messages, nextCursor: more && last !== undefined ? writeCursor(last.id) : null };
}
