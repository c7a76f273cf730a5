import { accepts } from 'hono/accepts';
import { WriteQueued } from '../../src/persistence/world-writes.ts';
import { LIMITS } from '../../src/world/limits.ts';
import type { Region } from '../../src/world/region.ts';
import { STATE_PARTS, type StatePart } from '../../src/world/state-lines.ts';
import type { SaveMode, Vector3 } from '../../src/world/types.ts';
import { readJson } from '../http/body.ts';
import type { AppContext } from '../http/context.ts';
import { answerAccepted, writeDurability } from '../http/durability.ts';
import { isConditional, isFresh, readStateTag, refuseConditions, writeStateEtag } from '../http/etag.ts';
import { readParam } from '../http/input.ts';
import { NDJSON, readPieces, sendsNdjson, streamLines } from '../http/ndjson.ts';
import { recordEvent } from '../http/own-events.ts';
import { readQuery, refuseParameter } from '../http/query.ts';

const JSON_TYPE = 'application/json';

/** GET /v1/spaces/{space}/state */
export async function getState(c: AppContext): Promise<Response> {
  const query = readQuery(c, ['include', 'near', 'radius', 'min', 'max']);
  const include = readInclude(query.include);
  const view = { include, region: readRegion(query) };
  const type = accepts(c, { header: 'Accept', supports: [JSON_TYPE, NDJSON], default: JSON_TYPE });
  const spaceId = readParam(c, 'space');
  const worlds = c.get('worlds');
  const headersOf = (version: { seq: number; rev: number }) => ({
    ETag: writeStateEtag(version),
    'Cache-Control': 'private, no-cache',
    'Content-Type': type,
  });
  c.header('Vary', 'Accept', { append: true });
  const known = readStateTag(c);
  // A tag is much cheaper than the world it names; so a caller who has the world costs next to nothing.
  if ((isConditional(c) && (known === null || type === NDJSON)) || c.req.method === 'HEAD') {
    const version = await worlds.getStateVersion(spaceId);
    await c.get('settleLimit')();
    const { 'Content-Type': _, ...headers } = headersOf(version);
    if (isFresh(c, headers.ETag)) return c.body(null, 304, headers);
    if (c.req.method === 'HEAD') return c.body(null, 200, headersOf(version));
  }
  if (type === NDJSON) {
    const { lines, isProvisional, ...version } = await worlds.streamWorldState({ spaceId, ...view });
    await c.get('settleLimit')();
    const { ETag, ...headers } = headersOf(version);
    return c.body(streamLines(c, lines), 200, { ...headers, ...(!isProvisional && { ETag }) });
  }
  const maxStaleMs = readMaxStale(c.req.header('Cache-Control'));
  const state = await worlds.renderWorldState({ spaceId, version: known, maxStaleMs, ...view });
  await c.get('settleLimit')();
  const { ETag, ...headers } = {
    ...headersOf(state),
    ...(maxStaleMs > 0 && { Age: String(Math.floor(state.ageMs / 1_000)) }),
  };
  // A caller that receives only a part must not get a 304 for the whole later.
  if (state.status === 'state' && !state.isWhole) return c.body(state.text, 200, headers);
  if (state.status === 'state' && !(known !== null && isFresh(c, ETag)))
    return c.body(state.text, 200, { ETag, ...headers });
  const { 'Content-Type': _, ...rest } = headers;
  return c.body(null, 304, { ETag, ...rest });
}

/**
 * How old a state the caller accepts (RFC 9111, 5.2.1.2), at most `LIMITS.stateStaleSecondsMax`; without a number, as old as that.
 * @returns milliseconds; 0 where only the newest will do, or the header is none of this form.
 */
function readMaxStale(header: string | undefined): number {
  const [directive, seconds] = /(?:^|[,\s])max-stale(?:="?(\d{1,9})"?)?(?=$|[,\s])/i.exec(header ?? '') ?? [];
  if (directive === undefined) return 0;
  const most = LIMITS.stateStaleSecondsMax;
  return Math.min(seconds === undefined ? most : Number(seconds), most) * 1_000;
}

/** PUT /v1/spaces/{space}/state */
export async function putState(c: AppContext): Promise<Response> {
  const mode = readMode(readQuery(c, ['mode']).mode);
  refuseConditions(c);
  const target = { spaceId: readParam(c, 'space'), mode };
  const worlds = c.get('worlds');
  try {
    const { seq, objects } = sendsNdjson(c)
      ? await worlds.saveWorldStream(readPieces(c), target)
      : await worlds.saveWorldState(
          await readJson(c, { bytesMax: c.get('services').config.limits.stateBodyBytesMax }),
          target,
        );
    writeDurability(c, 'committed');
    recordEvent(c, { type: 'space.saved', spaceId: target.spaceId, data: { objects, mode } });
    return c.json({ seq, objects, durability: 'committed' });
  } catch (error) {
    if (!(error instanceof WriteQueued)) throw error;
    return answerAccepted(c, error);
  }
}

function readInclude(include: string | undefined): readonly StatePart[] {
  if (include === undefined) return STATE_PARTS;
  return include.split(',').map((name) => {
    const part = STATE_PARTS.find((candidate) => candidate === name.trim());
    if (part === undefined)
      throw refuseParameter(
        'include',
        `must list one or more of these, separated by commas: ${STATE_PARTS.join(', ')}`,
      );
    return part;
  });
}

type RegionParameter = 'near' | 'radius' | 'min' | 'max';

/** `near` and `radius`, or `min` and `max`; whether the numbers make a region is checked where it is used. */
function readRegion(query: Partial<Record<RegionParameter, string>>): Region | undefined {
  const { near, radius, min, max } = query;
  const given = (['near', 'radius', 'min', 'max'] as const).filter((name) => query[name] !== undefined);
  const [first] = given;
  if (first === undefined) return undefined;
  if (near !== undefined && radius !== undefined && given.length === 2)
    return { near: readVector('near', near), radius: readNumber('radius', radius, radius) };
  if (min !== undefined && max !== undefined && given.length === 2)
    return { min: readVector('min', min), max: readVector('max', max) };
  throw refuseParameter(first, 'must be used in a pair: near with radius, or min with max');
}

function readVector(name: RegionParameter, text: string): Vector3 {
  const [x, y, z, more] = text.split(',');
  if (x === undefined || y === undefined || z === undefined || more !== undefined)
    throw refuseParameter(name, 'must be three numbers x,y,z in metres');
  return { x: readNumber(name, x, text), y: readNumber(name, y, text), z: readNumber(name, z, text) };
}

/** A number as JSON has it. */
function readNumber(name: RegionParameter, text: string, whole: string): number {
  const number = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (Number.isFinite(number)) return number + 0;
  const what = text === whole ? 'a number' : 'three numbers x,y,z';
  throw refuseParameter(name, `must be ${what} in metres; the value is too large`);
}

function readMode(mode = 'replace'): SaveMode {
  if (mode === 'replace' || mode === 'merge') return mode;
  throw refuseParameter('mode', 'must be replace or merge');
}
