import { LIMITS } from './world/limits.ts';
import type { Operation } from './world/operation.ts';
import { findKind } from './world/operation-effects.ts';

/** Authors whose operations are appended side by side. */
const AUTHORS_AT_ONCE_MAX = 32;

/** An operation that waits for its append. */
export interface RoundItem {
  operation: Operation;
  /** Of its JSON, in characters. */
  bytes: number;
  spaceId: string;
  actor: string | null;
}

/** Items of one lane are appended in order. The messages of each person have a lane, because a message may be refused. */
export function findLane(item: RoundItem): string {
  const { operation, spaceId } = item;
  return operation.op === 'chat.post' ? `${spaceId} ${operation.userId ?? ''}` : spaceId;
}

export function isPosted({ operation }: RoundItem): boolean {
  return operation.op === 'chat.post';
}

/**
 * Takes operations from the front, by author: up to one request each. An author's operations stop before an object that another author
 * has written in this round.
 */
export function takeRound<Item extends RoundItem>(waiting: Item[]): Item[][] {
  const [next] = waiting;
  // A message that is refused takes no other with it.
  if (next !== undefined && isPosted(next)) return [waiting.splice(0, 1)];
  const groups = new Map<string | null, Item[]>();
  const writers = new Map<string, string | null>();
  let count = 0;
  let bytes = 0;
  for (const item of waiting) {
    const { operation, actor } = item;
    const written = `${findKind(operation)} ${operation.id}`;
    const group = groups.get(actor);
    bytes += item.bytes;
    if (count === LIMITS.opsPerRequestMax || (count > 0 && bytes > LIMITS.updatesBodyBytesMax)) break;
    if (writers.has(written) && writers.get(written) !== actor) break;
    if (group === undefined && groups.size === AUTHORS_AT_ONCE_MAX) break;
    writers.set(written, actor);
    if (group === undefined) groups.set(actor, [item]);
    else group.push(item);
    count++;
  }
  waiting.splice(0, count);
  return [...groups.values()];
}
