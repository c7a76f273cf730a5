import { readJson } from '../http/body.ts';
import type { AppContext } from '../http/context.ts';
import { readParam } from '../http/input.ts';
import { readQuery } from '../http/query.ts';

/** GET /v1/keys */
export async function listKeys(c: AppContext): Promise<Response> {
  const page = readQuery(c, ['limit', 'cursor']);
  return c.json(await c.get('services').apiKeys.list(c.get('principal').tenantId, page));
}

/** POST /v1/keys. An admin may give any scope. The secret is in this answer and nowhere else. */
export async function postKey(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const { apiKeys, config } = c.get('services');
  const body = await readJson(c, { bytesMax: config.limits.jsonBodyBytesMax });
  return c.json(await apiKeys.issue(c.get('principal').tenantId, body), 201);
}

/** DELETE /v1/keys/{id} */
export async function deleteKey(c: AppContext): Promise<Response> {
  readQuery(c, []);
  await c.get('services').apiKeys.revoke(c.get('principal').tenantId, readParam(c, 'id'));
  return c.body(null, 204);
}
