import { readJson } from '../http/body.ts';
import type { AppContext } from '../http/context.ts';
import { readParam } from '../http/input.ts';
import { readQuery } from '../http/query.ts';

/** POST /v1/sessions. The token is in this answer and nowhere else. */
export async function postSession(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const { sessions, config } = c.get('services');
  const body = await readJson(c, { bytesMax: config.limits.jsonBodyBytesMax });
  return c.json(await sessions.mint(c.get('principal').tenantId, body), 201);
}

/** POST /v1/sessions/{id}/heartbeat */
export async function postHeartbeat(c: AppContext): Promise<Response> {
  readQuery(c, []);
  await c.get('services').sessions.heartbeat(c.get('principal').tenantId, readParam(c, 'id'));
  return c.body(null, 204);
}

/** DELETE /v1/sessions/{id} */
export async function deleteSession(c: AppContext): Promise<Response> {
  readQuery(c, []);
  await c.get('services').sessions.end(c.get('principal').tenantId, readParam(c, 'id'));
  return c.body(null, 204);
}
