import type { AppContext } from '../http/context.ts';
import { readDefer } from '../http/defer.ts';
import { answerAccepted, answerCommitted } from '../http/durability.ts';
import { readParam } from '../http/input.ts';
import { readQuery } from '../http/query.ts';

/** GET /v1/dead-letters */
export async function listDeadLetters(c: AppContext): Promise<Response> {
  const page = readQuery(c, ['limit', 'cursor']);
  return c.json(await c.get('services').deadLetters.list(c.get('principal').tenantId, page));
}

/** POST /v1/dead-letters/{id}/replay */
export async function replayDeadLetter(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const { tenantId } = c.get('principal');
  const caller = { defer: readDefer(c), requestId: c.get('requestId') };
  const outcome = await c.get('services').deadLetters.replay(tenantId, readParam(c, 'id'), caller);
  return outcome.status === 'queued'
    ? answerAccepted(c, { ...outcome, durability: 'queued' })
    : answerCommitted(c, outcome);
}

/** DELETE /v1/dead-letters/{id} */
export async function discardDeadLetter(c: AppContext): Promise<Response> {
  readQuery(c, []);
  await c.get('services').deadLetters.discard(c.get('principal').tenantId, readParam(c, 'id'));
  return c.body(null, 204);
}
