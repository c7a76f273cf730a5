import { AppError } from '../../src/world/errors.ts';
import type { AppContext } from '../http/context.ts';
import { readParam } from '../http/input.ts';
import { readQuery } from '../http/query.ts';

/** GET /v1/spaces/{space}/presence */
export async function listPresence(c: AppContext): Promise<Response> {
  const page = readQuery(c, ['limit', 'cursor']);
  const { presence } = c.get('services');
  if (presence === null)
    throw new AppError(
      'no_presence',
      'This server cannot list the people in a space because it has no Redis.',
    );
  const { kind, tenantId } = c.get('principal');
  const spaceId = readParam(c, 'space');
  const listed = presence.list({ ...page, tenantId, spaceId });
  // A session is known together with its space.
  const [answer] = await Promise.all([listed, kind === 'key' ? c.get('worlds').getSpace(spaceId) : null]);
  return c.json(answer);
}
