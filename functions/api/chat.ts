import { parseJsonBytes } from '../../src/world/json-text.ts';
import { checkMediaType, readBytes } from '../http/body.ts';
import type { AppContext } from '../http/context.ts';
import { writeDurability } from '../http/durability.ts';
import { readIdempotency, refuseExpired } from '../http/idempotency.ts';
import { isJsonObject, readParam } from '../http/input.ts';
import { applyWish, readPrefer } from '../http/prefer.ts';
import { readQuery } from '../http/query.ts';
import { unlessQueued } from '../http/queued.ts';
import { writeBudget } from './updates.ts';

/** GET /v1/spaces/{space}/chat */
export async function listChat(c: AppContext): Promise<Response> {
  const page = readQuery(c, ['limit', 'cursor', 'before', 'after']);
  return c.json(await c.get('worlds').listMessages({ ...page, spaceId: readParam(c, 'space') }));
}

/** POST /v1/spaces/{space}/chat */
export async function postChat(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const wish = readPrefer(c);
  checkMediaType(c, 'application/json');
  const bytes = await readBytes(c, c.get('services').config.limits.jsonBodyBytesMax);
  const body = parseJsonBytes(bytes);
  if (isJsonObject(body) && typeof body.id === 'string') refuseExpired(c, body.id);
  const { message, durability } = await c.get('worlds').postMessage(body, {
    spaceId: readParam(c, 'space'),
    waits: wish !== 'respond-async',
    idempotency: await readIdempotency(c, bytes),
    onBudget: (left) => writeBudget(c, left),
  });
  applyWish(c, wish);
  writeDurability(c, durability);
  return c.json({ ...message, durability }, durability === 'committed' ? 201 : 202);
}

/** DELETE /v1/spaces/{space}/chat/{id} */
export async function deleteChat(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const [id, spaceId] = [readParam(c, 'id'), readParam(c, 'space')];
  const deleted = await unlessQueued(c, (queues) => c.get('worlds').deleteMessage(id, { spaceId, queues }));
  return deleted instanceof Response ? deleted : c.body(null, 204);
}
