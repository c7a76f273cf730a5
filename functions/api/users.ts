import { readJson } from '../http/body.ts';
import type { AppContext } from '../http/context.ts';
import { refuseConditions } from '../http/etag.ts';
import { isJsonObject, readParam, refuseOther } from '../http/input.ts';
import { streamPieces } from '../http/ndjson.ts';
import { wantsRepresentation } from '../http/prefer.ts';
import { readQuery } from '../http/query.ts';
import { answerWritten } from '../http/written.ts';

/** PUT /v1/users/{id} */
export async function putUser(c: AppContext): Promise<Response> {
  readQuery(c, []);
  refuseConditions(c);
  const id = readParam(c, 'id');
  const body = await readJson(c, { bytesMax: c.get('services').config.limits.jsonBodyBytesMax });
  refuseOther(body, 'id', id);
  const { user, created } = await c.get('worlds').putUser(isJsonObject(body) ? { ...body, id } : body);
  return answerWritten(c, user, { created, location: `/v1/users/${id}` });
}

/** GET /v1/users */
export async function listUsers(c: AppContext): Promise<Response> {
  return c.json(await c.get('worlds').listUsers(readQuery(c, ['search', 'limit', 'cursor'])));
}

/** GET /v1/users/{id} */
export async function getUser(c: AppContext): Promise<Response> {
  readQuery(c, []);
  return c.json(await c.get('worlds').getUser(readParam(c, 'id')));
}

/** DELETE /v1/users/{id}. Erases the person, see PersistenceLayer.eraseUser. */
export async function deleteUser(c: AppContext): Promise<Response> {
  readQuery(c, []);
  refuseConditions(c);
  const id = readParam(c, 'id');
  const { sessions } = c.get('services');
  const { tenantId } = c.get('principal');
  const erased = await sessions.eraseWith(tenantId, id, () => c.get('worlds').eraseUser(id));
  c.header('Vary', 'Prefer', { append: true });
  if (!wantsRepresentation(c)) return c.body(null, 204);
  c.header('Preference-Applied', 'return=representation');
  return c.json({ erased });
}

/** GET /v1/users/{id}/export */
export async function exportUser(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const pieces = await c.get('worlds').exportUser(readParam(c, 'id'), { now: c.get('services').now });
  return c.body(streamPieces(c, pieces), 200, { 'Content-Type': 'application/json' });
}
