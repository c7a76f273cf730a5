import type { SaveMode } from '../../src/world/types.ts';
import { readJson } from '../http/body.ts';
import type { AppContext } from '../http/context.ts';
import { isConditional, isFresh, refuseConditions, writeStateEtag } from '../http/etag.ts';
import { readParam } from '../http/input.ts';
import { HttpError } from '../http/problem.ts';
import { readQuery, refuseParameter } from '../http/query.ts';

const PARTS = ['objects', 'users', 'models', 'media', 'chat'] as const;
type Part = (typeof PARTS)[number];

/** GET /v1/spaces/{space}/state */
export async function getState(c: AppContext): Promise<Response> {
  const include = readInclude(readQuery(c, ['include']).include);
  refuseNdjson(c);
  const spaceId = readParam(c, 'space');
  const headers = (etag: string) => ({ ETag: etag, 'Cache-Control': 'private, no-cache' });
  // A tag is much cheaper than the world it names; so a caller who has the world costs next to nothing.
  if (isConditional(c) || c.req.method === 'HEAD') {
    const etag = writeStateEtag(await c.get('worlds').getStateVersion(spaceId));
    if (isFresh(c, etag)) return c.body(null, 304, headers(etag));
    if (c.req.method === 'HEAD')
      return c.body(null, 200, { ...headers(etag), 'Content-Type': 'application/json' });
  }
  const { rev, space, seq, durableSeq, ...parts } = await c.get('worlds').loadWorldState(spaceId);
  const included = Object.fromEntries(
    PARTS.flatMap((part) => (include.has(part) ? [[part, parts[part]]] : [])),
  );
  return c.json({ space, seq, durableSeq, ...included }, 200, headers(writeStateEtag({ seq, rev })));
}

/** PUT /v1/spaces/{space}/state */
export async function putState(c: AppContext): Promise<Response> {
  const mode = readMode(readQuery(c, ['mode']).mode);
  refuseConditions(c);
  const body = await readJson(c, { bytesMax: c.get('services').config.limits.stateBodyBytesMax });
  const { seq, objects } = await c
    .get('worlds')
    .saveWorldState(body, { spaceId: readParam(c, 'space'), mode });
  return c.json({ seq, objects, durability: 'committed' });
}

function readInclude(include: string | undefined): Set<Part> {
  if (include === undefined) return new Set(PARTS);
  return new Set(
    include.split(',').map((name) => {
      const part = PARTS.find((candidate) => candidate === name.trim());
      if (part === undefined)
        throw refuseParameter('include', `must be one or more of ${PARTS.join(', ')}, with commas between`);
      return part;
    }),
  );
}

function readMode(mode = 'replace'): SaveMode {
  if (mode === 'replace' || mode === 'merge') return mode;
  throw refuseParameter('mode', 'must be replace or merge');
}

function refuseNdjson(c: AppContext): void {
  const accepted = (c.req.header('Accept') ?? '*/*').toLowerCase();
  if (accepted.includes('application/x-ndjson') && !/application\/json|(application|\*)\/\*/.test(accepted))
    throw new HttpError('not_acceptable', 'A state is served as application/json here.');
}
