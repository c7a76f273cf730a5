import { readJson } from '../http/body.ts';
import type { AppContext } from '../http/context.ts';
import { readQuery } from '../http/query.ts';

/** POST /v1/events. The answer promises no store: see F1 and E2. */
export async function postEvents(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const { config, now } = c.get('services');
  const body = await readJson(c, { bytesMax: config.limits.jsonBodyBytesMax });
  const principal = c.get('principal');
  const author = principal.kind === 'session' ? principal : null;
  const counts = await c.get('worlds').appendEvents(body, {
    author: author && { spaceId: author.spaceId, userId: author.userId },
    nowMs: now(),
  });
  return c.json(counts, 202);
}
