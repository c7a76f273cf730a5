import { uuidv7 } from 'uuidv7';
import { AppError } from '../world/errors.ts';
import type { AppendedOperation, SentOperation } from '../world/operation.ts';

/**
 * Gives each posted message its id, its author and its kind.
 * @param person the only person whose messages the caller may post; null: any
 * @returns the operations for the log, the callers' ids of the messages, and the text that two equal requests have in
 * common
 * @throws forbidden for a message of another person
 */
export function nameMessages(
  operations: readonly SentOperation[],
  person: string | null,
): { operations: AppendedOperation[]; callerIds: string[]; text: () => string } {
  const callerIds: string[] = [];
  const named = operations.map((operation, at): AppendedOperation => {
    if (operation.op !== 'chat.post') return operation;
    const { id, userId = person, text, kind = 'text' } = operation;
    if (person !== null && userId !== person)
      throw new AppError('forbidden', 'A session can post messages only in the name of its own person.', {
        errors: [{ path: `/ops/${at}/userId`, message: 'must be the person of the session' }],
      });
    if (id !== undefined) callerIds.push(id);
    return { op: 'chat.post', id: uuidv7(), userId, text, kind };
  });
  const text = () =>
    JSON.stringify(
      named.map((operation, at) => ({ ...operation, id: (operations[at] as { id?: string }).id })),
    );
  return { operations: named, callerIds, text };
}
