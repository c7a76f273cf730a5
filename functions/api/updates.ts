import type { BudgetLeft } from '../../src/log/space-log.ts';
import { parseJsonBytes } from '../../src/world/json-text.ts';
import { LIMITS } from '../../src/world/limits.ts';
import type { JsonValue } from '../../src/world/types.ts';
import { checkMediaType, readBytes } from '../http/body.ts';
import type { AppContext } from '../http/context.ts';
import { answerAccepted, answerCommitted } from '../http/durability.ts';
import { readIdempotency, refuseExpired } from '../http/idempotency.ts';
import { isJsonObject, readParam } from '../http/input.ts';
import { applyWish, readPrefer } from '../http/prefer.ts';
import { readQuery } from '../http/query.ts';

/** POST /v1/spaces/{space}/updates */
export async function postUpdates(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const wish = readPrefer(c);
  checkMediaType(c, 'application/json');
  const { limits } = c.get('services').config;
  const bytes = await readBytes(c, Math.min(limits.jsonBodyBytesMax, LIMITS.updatesBodyBytesMax));
  const body = parseJsonBytes(bytes);
  refuseExpiredIds(c, body);
  const outcome = await c.get('worlds').appendOperations(body, {
    spaceId: readParam(c, 'space'),
    waits: wish === 'wait',
    idempotency: await readIdempotency(c, bytes),
    onBudget: (left) => writeBudget(c, left),
  });
  if (outcome.status !== 'committed') {
    if (wish === 'respond-async') applyWish(c, wish);
    return answerAccepted(c, { ...outcome, durability: outcome.status });
  }
  if (wish === 'wait') applyWish(c, wish);
  return answerCommitted(c, outcome);
}

/** An `id` of a posted message is an idempotency key. The operations are not checked yet. @throws key_expired */
function refuseExpiredIds(c: AppContext, body: JsonValue): void {
  const ops = isJsonObject(body) && Array.isArray(body.ops) ? body.ops : [];
  for (const op of ops)
    if (isJsonObject(op) && op.op === 'chat.post' && typeof op.id === 'string') refuseExpired(c, op.id);
}

/** Writes the rest of the principal's budget in this space into the answer. */
export function writeBudget(c: AppContext, { requests, updates }: BudgetLeft): void {
  const { rateLimitRequestsPerMinute, rateLimitUpdatesPerMinute } = c.get('services').config.limits;
  const lines = [
    ['requests', requests, rateLimitRequestsPerMinute],
    ['updates', updates, rateLimitUpdatesPerMinute],
  ] as const;
  const counted = lines.filter(([, , quota]) => quota > 0);
  c.header(
    'RateLimit',
    counted
      .map(([name, { remaining, resetMs }]) => `"${name}";r=${remaining};t=${Math.ceil(resetMs / 1_000)}`)
      .join(', '),
  );
  c.header('RateLimit-Policy', counted.map(([name, , quota]) => `"${name}";q=${quota};w=60`).join(', '));
}
