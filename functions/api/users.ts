import { readJson } from '../http/body.ts';
import type { AppContext } from '../http/context.ts';
import { refuseConditions } from '../http/etag.ts';
import { isJsonObject, readParam, refuseOther } from '../http/input.ts';
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
  await sessions.eraseWith(c.get('principal').tenantId, id, () => c.get('worlds').eraseUser(id));
  return c.body(null, 204);
}
