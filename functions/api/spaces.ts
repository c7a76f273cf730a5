import { readJson } from '../http/body.ts';
import type { AppContext } from '../http/context.ts';
import { refuseConditions } from '../http/etag.ts';
import { readParam, refuseOther } from '../http/input.ts';
import { recordEvent } from '../http/own-events.ts';
import { readQuery } from '../http/query.ts';
import { answerWritten } from '../http/written.ts';

/** PUT /v1/spaces/{space} */
export async function putSpace(c: AppContext): Promise<Response> {
  readQuery(c, []);
  refuseConditions(c);
  const spaceId = readParam(c, 'space');
  const body = await readJson(c, { bytesMax: c.get('services').config.limits.jsonBodyBytesMax });
  refuseOther(body, 'id', spaceId);
  const { space, created } = await c.get('worlds').putSpace(spaceId, body);
  if (created) recordEvent(c, { type: 'space.created', spaceId: space.id });
  return answerWritten(c, space, { created, location: `/v1/spaces/${space.id}` });
}

/** GET /v1/spaces */
export async function listSpaces(c: AppContext): Promise<Response> {
  return c.json(await c.get('worlds').listSpaces(readQuery(c, ['limit', 'cursor'])));
}

/** GET /v1/spaces/{space} */
export async function getSpace(c: AppContext): Promise<Response> {
  readQuery(c, []);
  return c.json(await c.get('worlds').getSpace(readParam(c, 'space')));
}

/** DELETE /v1/spaces/{space} */
export async function deleteSpace(c: AppContext): Promise<Response> {
  readQuery(c, []);
  refuseConditions(c);
  const spaceId = readParam(c, 'space');
  await c.get('worlds').deleteSpace(spaceId);
  await c.get('services').sessions.closeSpace(c.get('principal').tenantId, spaceId);
  recordEvent(c, { type: 'space.deleted', spaceId });
  return c.body(null, 204);
}

/** GET /v1/spaces/{space}/statistics */
export async function getStatistics(c: AppContext): Promise<Response> {
  readQuery(c, []);
  return c.json(await c.get('worlds').getSpaceStatistics(readParam(c, 'space')));
}
