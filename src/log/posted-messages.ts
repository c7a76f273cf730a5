import type { ChatPostOperation } from '../world/operation.ts';
import type { Role } from '../world/types.ts';
import type { PostedMessages } from './log-stores.ts';

/** The messages among operations; null: none. */
export function findPosted(
  operations: readonly { op: string }[],
  { role, perMinute }: { role: Role | null; perMinute: number },
): PostedMessages | null {
  const ids: string[] = [];
  const people = new Map<string, number>();
  for (const operation of operations) {
    if (operation.op !== 'chat.post') continue;
    const { id, userId } = operation as ChatPostOperation;
    ids.push(id);
    if (userId !== null) people.set(userId, (people.get(userId) ?? 0) + 1);
  }
  return ids.length === 0 ? null : { ids, people, role, perMinute };
}
