import { AppError } from '../world/errors.ts';
import { isMove } from '../world/move.ts';
import type { SentOperation } from '../world/operation.ts';
import type { WorldItem } from '../world/state-lines.ts';
import type { Role, WorldInput } from '../world/types.ts';

/** The operations of a viewer: it may speak, and move its own avatar. */
const VIEWER_OPS: ReadonlySet<string> = new Set(['chat.post', 'user.patch', 'user.move']);

/** @throws forbidden for an operation that the role does not allow, or on another person's avatar. */
export function refuseForSession(
  operations: readonly SentOperation[],
  { actor, role }: { actor: string | null | undefined; role: Role },
): void {
  for (const [at, operation] of operations.entries()) {
    if (role === 'viewer' && !VIEWER_OPS.has(operation.op))
      throw new AppError('forbidden', 'This operation needs the role "editor". The session has "viewer".', {
        errors: [{ path: `/ops/${at}/op`, message: `must be one of ${[...VIEWER_OPS].join(', ')}` }],
      });
    if (operation.op === 'chat.delete')
      throw new AppError(
        'forbidden',
        'A session deletes a message with DELETE /v1/spaces/{space}/chat/{id}.',
        {
          errors: [{ path: `/ops/${at}/op`, message: 'must not be "chat.delete" in a session' }],
        },
      );
    if (operation.op !== 'user.patch' && operation.op !== 'user.move') continue;
    const other = isMove(operation)
      ? operation.ids.findIndex((id) => id !== actor)
      : operation.id === actor
        ? -1
        : 0;
    if (other < 0) continue;
    throw new AppError('forbidden', 'A session token moves its own avatar alone.', {
      errors: [
        {
          path: isMove(operation) ? `/ops/${at}/ids/${other}` : `/ops/${at}/id`,
          message: 'must be the person of the session',
        },
      ],
    });
  }
}

/** The lines of a world as a session may save it; see `readOwnParts`. */
export async function* withinSpace(
  groups: AsyncIterable<WorldItem[]>,
  actor: string | null | undefined,
): AsyncGenerator<WorldItem[]> {
  for await (const items of groups)
    yield items.map((item) =>
      item.kind === 'metadata' ? { ...item, metadata: readOwnParts(item.metadata, actor) } : item,
    );
}

/**
 * A world as a session may save it: messages that it brings in the name of another person lose their author. A message that
 * the space has already keeps its own.
 * @throws forbidden for people, models and media, which are not the space's own
 */
export function readOwnParts<World extends Omit<WorldInput, 'objects'>>(
  world: World,
  actor: string | null | undefined,
): World {
  const parts = (['users', 'models', 'media'] as const).filter((part) => (world[part]?.length ?? 0) > 0);
  if (parts.length === 0)
    return {
      ...world,
      chat: world.chat.map((message) => (message.userId === actor ? message : { ...message, userId: null })),
    };
  throw new AppError('forbidden', 'People, models and media belong to the tenant: a key may save them.', {
    errors: parts.map((part) => ({ path: `/${part}`, message: 'may only be saved with a key' })),
  });
}
