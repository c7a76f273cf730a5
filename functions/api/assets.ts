import * as z from 'zod';
import {
  ASSET_THINGS,
  type AssetKind,
  countParts,
  type FileUpload,
  findMissingParts,
} from '../../src/library/asset-library.ts';
import type { LibraryAsset } from '../../src/library/asset-types.ts';
import { AppError, notFound } from '../../src/world/errors.ts';
import { LIMITS } from '../../src/world/limits.ts';
import { check, nameSchema, urlSchema } from '../../src/world/schemas.ts';
import { readJson } from '../http/body.ts';
import type { AppContext } from '../http/context.ts';
import { isFresh } from '../http/etag.ts';
import { readParam } from '../http/input.ts';
import { recordEvent } from '../http/own-events.ts';
import { readQuery } from '../http/query.ts';
import { readRange } from '../http/range.ts';
import { openBody, readDigest, readLength } from '../http/upload-body.ts';

/** The name of a file: no path, and nothing that a header could not hold. */
const fileNameSchema = nameSchema
  .min(1, 'must not be empty')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these control characters are refused
  .refine((name) => !/[\u0000-\u001f\u007f/\\]/.test(name), 'must not contain control characters, / or \\');

/** A file that is elsewhere. */
export const assetUrlInput = z.strictObject({
  name: fileNameSchema,
  url: urlSchema.refine((url) => /^https?:\/\//i.test(url), 'must begin with http:// or https://'),
});

export const fileUploadInput = z.strictObject({
  name: fileNameSchema,
  bytes: z.int('must be a whole number').min(1, 'must be at least 1'),
  contentType: z.string().max(LIMITS.nameLengthMax).nullable().default(null),
});

const FOREVER = 'private, max-age=31536000, immutable';

/** The handlers of one library; the other has the same. */
export function createAssetHandlers(kind: AssetKind) {
  const at = kind === 'model' ? '/v1/models' : '/v1/media';
  const tenantOf = (c: AppContext) => c.get('principal').tenantId;
  const libraryOf = (c: AppContext) => c.get('services').assets;

  /** POST /v1/models: the bytes of a file, or JSON for a file that is elsewhere. */
  async function post(c: AppContext): Promise<Response> {
    const { name } = readQuery(c, ['name']);
    const contentType = c.req.header('Content-Type') ?? null;
    const type = contentType?.split(';')[0]?.trim().toLowerCase();
    if (type === 'application/json') {
      const { jsonBodyBytesMax } = c.get('services').config.limits;
      const input = check(assetUrlInput, await readJson(c, { bytesMax: jsonBodyBytesMax }));
      const linked = await libraryOf(c).addUrl(tenantOf(c), kind, input);
      return answerAdded(c, linked);
    }
    const input = {
      name: check(fileNameSchema, name ?? readFileName(c) ?? kind, '/name'),
      contentType,
      bytes: readLength(c),
      sha256: readDigest(c),
    };
    const asset = await libraryOf(c).upload(tenantOf(c), kind, input, openBody(c));
    countUpload(c, asset);
    return answerAdded(c, asset);
  }

  async function list(c: AppContext): Promise<Response> {
    const page = readQuery(c, ['limit', 'cursor', 'sha256']);
    return c.json(await libraryOf(c).list(tenantOf(c), kind, page));
  }

  async function get(c: AppContext): Promise<Response> {
    readQuery(c, []);
    const asset = await libraryOf(c).get(tenantOf(c), kind, readParam(c, 'id'));
    await refuseUnused(c, asset.id);
    return c.json(asset);
  }

  async function remove(c: AppContext): Promise<Response> {
    readQuery(c, []);
    const { persistence, assets } = c.get('services');
    const tenantId = tenantOf(c);
    // States show it until now.
    await persistence.invalidateWhile(tenantId, () => assets.delete(tenantId, kind, readParam(c, 'id')));
    return c.body(null, 204);
  }

  async function getFile(c: AppContext): Promise<Response> {
    readQuery(c, []);
    const id = readParam(c, 'id');
    // First: a session learns nothing of files that its space does not show.
    await refuseUnused(c, id);
    const { asset, read } = await libraryOf(c).open(tenantOf(c), kind, id);
    const bytes = asset.bytes ?? 0;
    const etag = `"${asset.sha256}"`;
    const headers = {
      ETag: etag,
      'Cache-Control': FOREVER,
      'Accept-Ranges': 'bytes',
      'X-Content-Type-Options': 'nosniff',
      'Content-Security-Policy': 'sandbox',
    };
    if (isFresh(c, etag)) return c.body(null, 304, headers);
    const condition = c.req.header('If-Range');
    // RFC 9110: only GET has ranges.
    const isRanged = c.req.method === 'GET' && (condition === undefined || condition === etag);
    const range = isRanged ? readRange(c.req.header('Range'), bytes) : null;
    if (range === 'unsatisfiable') {
      c.header('Content-Range', `bytes */${bytes}`);
      throw new AppError('range_not_satisfiable', `The file has ${bytes} bytes.`);
    }
    const body = c.req.method === 'HEAD' ? null : await read(range ?? undefined);
    const sent = range === null ? bytes : range.last - range.first + 1;
    return c.body(body as ReadableStream, range === null ? 200 : 206, {
      ...headers,
      'Content-Type': asset.contentType ?? 'application/octet-stream',
      'Content-Length': String(sent),
      'Content-Disposition': writeDisposition(asset.name, kind),
      ...(range !== null && { 'Content-Range': `bytes ${range.first}-${range.last}/${bytes}` }),
    });
  }

  async function beginUpload(c: AppContext): Promise<Response> {
    readQuery(c, []);
    const { jsonBodyBytesMax } = c.get('services').config.limits;
    const input = check(fileUploadInput, await readJson(c, { bytesMax: jsonBodyBytesMax }));
    const upload = await libraryOf(c).beginUpload(tenantOf(c), kind, input);
    return c.json(describeUpload(upload), 201, { Location: `${at}/uploads/${upload.id}` });
  }

  async function getUpload(c: AppContext): Promise<Response> {
    readQuery(c, []);
    return c.json(describeUpload(await libraryOf(c).getUpload(tenantOf(c), kind, readParam(c, 'id'))));
  }

  async function putPart(c: AppContext): Promise<Response> {
    readQuery(c, []);
    const [text = '', bytes, body] = [c.req.param('part'), readLength(c), openBody(c)];
    const part = /^\d{1,5}$/.test(text) ? Number(text) : 0;
    if (body === null)
      throw new AppError('length_mismatch', 'The request has no body. Send the bytes of the part.');
    await libraryOf(c).putPart(tenantOf(c), kind, { id: readParam(c, 'id'), part, bytes }, body);
    return c.body(null, 204);
  }

  async function completeUpload(c: AppContext): Promise<Response> {
    readQuery(c, []);
    const asset = await libraryOf(c).completeUpload(tenantOf(c), kind, readParam(c, 'id'));
    countUpload(c, asset);
    return answerAdded(c, asset);
  }

  async function abortUpload(c: AppContext): Promise<Response> {
    readQuery(c, []);
    await libraryOf(c).abortUpload(tenantOf(c), kind, readParam(c, 'id'));
    return c.body(null, 204);
  }

  function answerAdded(c: AppContext, asset: LibraryAsset): Response {
    const { id, bytes, contentType } = asset;
    recordEvent(c, { type: `${kind}.uploaded`, data: { id, bytes, contentType } });
    return c.json(asset, 201, { Location: `${at}/${id}` });
  }

  /** A session sees what the states of its space show. @throws not_found */
  async function refuseUnused(c: AppContext, id: string): Promise<void> {
    const principal = c.get('principal');
    if (principal.kind === 'key') return;
    const { spaceId } = principal;
    if (!(await c.get('worlds').referencesAsset(kind, id, { spaceId }))) throw notFound(ASSET_THINGS[kind]);
  }

  return { post, list, get, remove, getFile, beginUpload, getUpload, putPart, completeUpload, abortUpload };
}

function countUpload(c: AppContext, { bytes }: { bytes: number | null }): void {
  c.get('services').metrics.add('worldkeep_asset_uploaded_bytes_total', {}, bytes ?? 0);
}

function describeUpload(upload: FileUpload) {
  const { id, name, bytes, createdAt } = upload;
  return {
    id,
    name,
    bytes,
    partBytes: LIMITS.assetPartBytes,
    parts: countParts(bytes),
    missing: findMissingParts(upload),
    expiresAt: new Date(Date.parse(createdAt) + LIMITS.assetGraceSeconds * 1_000).toISOString(),
  };
}

/** The name in Content-Disposition: `filename*` (RFC 8187) before `filename`. */
function readFileName(c: AppContext): string | undefined {
  const header = c.req.header('Content-Disposition') ?? '';
  const [, encoded] = /filename\*\s*=\s*UTF-8''([^;\s]+)/i.exec(header) ?? [];
  if (encoded !== undefined) {
    try {
      return decodeURIComponent(encoded);
    } catch {
      throw new AppError('validation_failed', 'The input is not valid.', {
        errors: [{ path: '/Content-Disposition', message: 'must have a filename* in UTF-8' }],
      });
    }
  }
  return /filename\s*=\s*"([^"]*)"/i.exec(header)?.[1] ?? /filename\s*=\s*([^;\s]+)/i.exec(header)?.[1];
}

function writeDisposition(name: string, kind: AssetKind): string {
  const encoded = encodeURIComponent(name).replaceAll(/['()*]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  });
  return `${kind === 'model' ? 'attachment' : 'inline'}; filename*=UTF-8''${encoded}`;
}
