import type { JsonValue, WorldObject } from '../../src/world/types.ts';
import { readJson } from '../http/body.ts';
import type { AppContext } from '../http/context.ts';
import { isFresh, readPrecondition, writeObjectEtag } from '../http/etag.ts';
import { isJsonObject, readParam, refuseOther } from '../http/input.ts';
import { readQuery } from '../http/query.ts';
import { unlessQueued } from '../http/queued.ts';
import { answerWritten } from '../http/written.ts';

/** GET /v1/spaces/{space}/objects */
export async function listObjects(c: AppContext): Promise<Response> {
  const page = readQuery(c, ['limit', 'cursor']);
  return c.json(await c.get('worlds').listObjects({ ...page, spaceId: readParam(c, 'space') }));
}

/** GET /v1/spaces/{space}/objects/{id} */
export async function getObject(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const object = await c.get('worlds').getObject(readParam(c, 'id'), { spaceId: readParam(c, 'space') });
  const headers = describe(object);
  return isFresh(c, headers.ETag) ? c.body(null, 304, headers) : c.json(object, 200, headers);
}

/** PUT /v1/spaces/{space}/objects/{id} */
export async function putObject(c: AppContext): Promise<Response> {
  const { id, spaceId, body, precondition } = await readWrite(c, 'application/json');
  const input = isJsonObject(body) ? { ...body, id } : body;
  const saved = await unlessQueued(c, (queues) =>
    c.get('worlds').saveObject(input, { spaceId, precondition, queues }),
  );
  if (saved instanceof Response) return saved;
  const { object, created } = saved;
  const location = `/v1/spaces/${spaceId}/objects/${id}`;
  return answerWritten(c, object, { created, location, headers: describe(object) });
}

/** PATCH /v1/spaces/{space}/objects/{id} */
export async function patchObject(c: AppContext): Promise<Response> {
  const { id, spaceId, body, precondition } = await readWrite(c, 'application/merge-patch+json');
  const object = await unlessQueued(c, (queues) =>
    c.get('worlds').updateObject(id, body, { spaceId, precondition, queues }),
  );
  return object instanceof Response ? object : answerWritten(c, object, { headers: describe(object) });
}

/** DELETE /v1/spaces/{space}/objects/{id} */
export async function deleteObject(c: AppContext): Promise<Response> {
  readQuery(c, []);
  const precondition = readPrecondition(c);
  const [id, spaceId] = [readParam(c, 'id'), readParam(c, 'space')];
  const deleted = await unlessQueued(c, (queues) =>
    c.get('worlds').deleteObject(id, { spaceId, precondition, queues }),
  );
  return deleted instanceof Response ? deleted : c.body(null, 204);
}

async function readWrite(c: AppContext, mediaType: 'application/json' | 'application/merge-patch+json') {
  readQuery(c, []);
  const precondition = readPrecondition(c);
  const id = readParam(c, 'id');
  const spaceId = readParam(c, 'space');
  const { jsonBodyBytesMax } = c.get('services').config.limits;
  const body: JsonValue = await readJson(c, { bytesMax: jsonBodyBytesMax, mediaType });
  refuseOther(body, 'id', id);
  refuseOther(body, 'spaceId', spaceId);
  return { id, spaceId, body, precondition };
}

function describe(object: WorldObject): { ETag: string; 'Cache-Control': string } {
  return { ETag: writeObjectEtag(object.seq), 'Cache-Control': 'private, no-cache' };
}
