import { AppError } from './world/errors.ts';
import type { Operation } from './world/operation.ts';
import type { WorldItem } from './world/state-lines.ts';
import type { WorldInput } from './world/types.ts';

/** @throws forbidden where another's avatar is moved: a session has one person. */
export function refuseOtherAvatars(operations: readonly Operation[], actor: string | null | undefined): void {
  const at = operations.findIndex(({ op, id }) => op === 'user.patch' && id !== actor);
  if (at < 0) return;
  throw new AppError('forbidden', 'A session token moves its own avatar alone.', {
    errors: [{ path: `/ops/${at}/id`, message: 'must be the person of the session' }],
  });
}

/** The lines of a world, refused where they bring along what is not the space's own. */
export async function* withinSpace(groups: AsyncIterable<WorldItem[]>): AsyncGenerator<WorldItem[]> {
  for await (const items of groups) {
    for (const item of items) if (item.kind === 'around') refuseTenantParts(item.around);
    yield items;
  }
}

/** @throws forbidden for what a world brings along that is not the space's own. */
export function refuseTenantParts(world: Omit<WorldInput, 'objects'>): void {
  const parts = (['users', 'models', 'media'] as const).filter((part) => (world[part]?.length ?? 0) > 0);
  if (parts.length === 0) return;
  throw new AppError('forbidden', 'People, models and media belong to the tenant: a key may save them.', {
    errors: parts.map((part) => ({ path: `/${part}`, message: 'may only be saved with a key' })),
  });
}
