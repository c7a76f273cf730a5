import { fromHex } from '../helpers/bytes.ts';
import { readCursor, writeCursor } from '../world/cursor.ts';
import { AppError, type MissingThing, notFound } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { checkId, checkPageLimit } from '../world/schemas.ts';
import type { Page } from '../world/types.ts';
import type {
  AssetKind,
  AssetStore,
  ByteRange,
  FileStore,
  FileUpload,
  LibraryAsset,
  StoredAsset,
} from './asset-types.ts';
import { createInspector } from './inspect-file.ts';
import { InspectedBody, type StreamingHash } from './inspected-body.ts';

export type * from './asset-types.ts';

export const ASSET_THINGS: Record<AssetKind, MissingThing> = {
  model: 'this model',
  media: 'this media file',
};

export interface AssetLibraryOptions {
  /** Bytes of one request. */
  bytesMax: number;
  /** Bytes of one file that is uploaded in parts. */
  fileBytesMax: number;
  /** Bytes of all files of a tenant. */
  quotaBytes: number;
  createHash: () => StreamingHash;
  /** Milliseconds since 1970. */
  now: () => number;
  /** Ids that nobody has: UUIDv7, so that newer assets sort later. */
  createId: () => string;
  /** Told of objects that could not be deleted from the bucket. A later sweep deletes them. */
  onFailure: (cause: unknown) => void;
}

export interface UploadInput {
  name: string;
  /** The media type that the caller declares; null: none. */
  contentType: string | null;
  /** The announced length. */
  bytes: number;
  /** The announced digest, as hexadecimal digits; null: none. */
  sha256: string | null;
}

/** Everything is stored as this type. The API answers with the detected type. */
const OBJECT_TYPE = 'application/octet-stream';

/**
 * The models and media of tenants. Bytes go to the bucket once per tenant, under random keys. An object that nothing names in the end
 * is noted in Postgres before it is written, so that a sweep finds it after any crash.
 */
export class AssetLibrary {
  readonly #store: AssetStore;
  readonly #bucket: FileStore | null;
  readonly #options: AssetLibraryOptions;

  /** @param bucket null: this deployment stores no bytes */
  constructor(store: AssetStore, bucket: FileStore | null, options: AssetLibraryOptions) {
    this.#store = store;
    this.#bucket = bucket;
    this.#options = options;
  }

  /**
   * Stores a file, and adds it to the library.
   * @throws no_asset_store, body_too_large, quota_exceeded; invalid_file for a file that the kind does not allow; length_mismatch,
   * digest_mismatch; not_found for an empty body whose digest the tenant does not have; store_unavailable. Nothing is added then.
   */
  async upload(
    tenantId: string,
    kind: AssetKind,
    input: UploadInput,
    body: ReadableStream<Uint8Array> | null,
  ): Promise<LibraryAsset> {
    const { bytesMax } = this.#options;
    const bucket = this.#requireBucket();
    if (input.bytes > bytesMax)
      throw new AppError(
        'body_too_large',
        `The server accepts at most ${bytesMax} bytes in one request. This body has ${input.bytes} bytes. Upload it in parts.`,
      );
    if (input.bytes === 0 || body === null) return this.#addKnown(tenantId, kind, input);
    const inspector = createInspector(kind, input);
    const inspected = new InspectedBody(body, inspector, this.#options.createHash());
    if (input.sha256 !== null && (await this.#store.hasFile(tenantId, kind, input.sha256))) {
      await inspected.discard();
      const { sha256 } = await inspected.finish();
      if (sha256 !== input.sha256) throw wrongDigest();
      return this.#addKnown(tenantId, kind, input);
    }
    const key = await this.#beginObject(tenantId, input.bytes);
    return this.#unlessFailed(tenantId, key, async () => {
      const sha256 = input.sha256 === null ? {} : { sha256: fromHex(input.sha256) };
      await bucket.put(key, inspected.stream, { bytes: input.bytes, contentType: OBJECT_TYPE, ...sha256 });
      return this.#register(tenantId, kind, { key, name: input.name, bytes: input.bytes }, inspected);
    });
  }

  /** Adds a file that is elsewhere. The server never fetches it. */
  async addUrl(
    tenantId: string,
    kind: AssetKind,
    asset: { name: string; url: string },
  ): Promise<LibraryAsset> {
    const id = this.#options.createId();
    await this.#store.addUrl(tenantId, { kind, id, ...asset });
    return this.get(tenantId, kind, id);
  }

  /** @throws not_found */
  async get(tenantId: string, kind: AssetKind, id: string): Promise<LibraryAsset> {
    const { objectKey, ...asset } = await this.#load(tenantId, kind, id);
    return asset;
  }

  /** Newest first. @param page with a sha256, only the assets with these bytes: 64 hex digits */
  async list(
    tenantId: string,
    kind: AssetKind,
    page: { limit?: string | undefined; cursor?: string | undefined; sha256?: string | undefined },
  ): Promise<Page<LibraryAsset>> {
    const limit = checkPageLimit(page.limit);
    const { sha256 = null } = page;
    if (sha256 !== null && !/^[0-9a-f]{64}$/.test(sha256))
      throw invalid('/sha256', 'must be 64 hexadecimal digits in lower case');
    const before = readCursor(page.cursor);
    const found = await this.#store.listAssets(tenantId, kind, { limit: limit + 1, before, sha256 });
    const items = found.slice(0, limit);
    return { items, nextCursor: found.length > limit ? writeCursor(items.at(-1)?.id ?? '') : null };
  }

  /** The asset, and a function that opens its bytes. @throws not_found, also if its bytes are elsewhere; no_asset_store */
  async open(
    tenantId: string,
    kind: AssetKind,
    id: string,
  ): Promise<{ asset: StoredAsset; read: (range?: ByteRange) => Promise<ReadableStream<Uint8Array>> }> {
    const asset = await this.#load(tenantId, kind, id);
    const { objectKey } = asset;
    if (objectKey === null)
      throw new AppError('not_found', 'This file is not stored here. Its address is the "url" of the item.');
    const bucket = this.#requireBucket();
    const read = async (range?: ByteRange) => {
      const object = await bucket.get(objectKey, range);
      if (object !== null) return object.body;
      throw new AppError('store_unavailable', 'The bucket does not have this file now. Retry later.', {
        retryAfterSeconds: 5,
      });
    };
    return { asset, read };
  }

  /** Its bytes go too, unless another asset has the same. @throws not_found */
  async delete(tenantId: string, kind: AssetKind, id: string): Promise<void> {
    const { isFound, objectKey } = await this.#store.deleteAsset(tenantId, kind, checkId(id, '/id'));
    if (!isFound) throw notFound(ASSET_THINGS[kind]);
    if (objectKey !== null) await this.#removeObject(tenantId, objectKey);
  }

  /** Deletes an object that nothing names any more. If the bucket is away, a sweep deletes it. */
  async removeObject(tenantId: string, objectKey: string): Promise<void> {
    await this.#removeObject(tenantId, objectKey);
  }

  /** Starts an upload in parts. @throws no_asset_store, body_too_large, quota_exceeded */
  async beginUpload(
    tenantId: string,
    kind: AssetKind,
    { name, contentType, bytes }: Omit<UploadInput, 'sha256'>,
  ): Promise<FileUpload> {
    const { fileBytesMax, createId, now } = this.#options;
    const bucket = this.#requireBucket();
    if (bytes > fileBytesMax)
      throw new AppError(
        'body_too_large',
        `The server accepts files of at most ${fileBytesMax} bytes. This file has ${bytes} bytes.`,
      );
    const objectKey = await this.#beginObject(tenantId, bytes);
    return this.#unlessFailed(tenantId, objectKey, async () => {
      const bucketUploadId = await bucket.createMultipart(objectKey, { contentType: OBJECT_TYPE });
      const upload = { id: createId(), kind, name, contentType, bytes, objectKey, bucketUploadId };
      await this.#store.addUpload(tenantId, upload);
      return { ...upload, createdAt: new Date(now()).toISOString(), parts: [] };
    });
  }

  /** @throws not_found for an upload that does not exist, is complete or has expired */
  async getUpload(tenantId: string, kind: AssetKind, id: string): Promise<FileUpload> {
    const upload = await this.#store.loadUpload(tenantId, kind, checkId(id, '/id'));
    if (upload === null) throw notFound('an open upload with this id');
    return upload;
  }

  /**
   * Stores one part. A repeat replaces it.
   * @param part from 1
   * @throws not_found, validation_failed for a part that the file does not have, or with another length; length_mismatch
   */
  async putPart(
    tenantId: string,
    kind: AssetKind,
    { id, part, bytes }: { id: string; part: number; bytes: number },
    body: ReadableStream<Uint8Array>,
  ): Promise<void> {
    const bucket = this.#requireBucket();
    const { objectKey, bucketUploadId, ...upload } = await this.getUpload(tenantId, kind, id);
    const parts = countParts(upload.bytes);
    if (part < 1 || part > parts) throw invalid('/part', `must be 1 to ${parts}`);
    const expected =
      part < parts ? LIMITS.assetPartBytes : upload.bytes - (parts - 1) * LIMITS.assetPartBytes;
    if (bytes !== expected)
      throw invalid('/Content-Length', `must be ${expected} bytes for part ${part}, not ${bytes}`);
    const etag = await bucket.uploadPart(objectKey, bucketUploadId, part, body, bytes);
    await this.#store.addPart(tenantId, id, { part, etag });
  }

  /** Joins the parts, inspects the whole file and adds it to the library. @throws conflict for missing parts; as `upload` */
  async completeUpload(tenantId: string, kind: AssetKind, id: string): Promise<LibraryAsset> {
    const bucket = this.#requireBucket();
    const upload = await this.getUpload(tenantId, kind, id);
    const { objectKey, bucketUploadId, name, bytes, parts } = upload;
    const missing = findMissingParts(upload);
    if (missing.length > 0)
      throw new AppError('conflict', `The upload lacks these parts: ${missing.slice(0, 20).join(', ')}.`);
    // The answer to an earlier request may have been lost after the join.
    if ((await bucket.head(objectKey)) === null)
      await bucket.completeMultipart(objectKey, bucketUploadId, parts);
    const object = await bucket.get(objectKey);
    if (object === null) throw new AppError('store_unavailable', 'The bucket does not have this file now.');
    const { createHash } = this.#options;
    const inspector = createInspector(kind, upload);
    const inspected = new InspectedBody(object.body, inspector, createHash());
    try {
      await inspected.discard();
      const asset = await this.#register(tenantId, kind, { key: objectKey, name, bytes }, inspected);
      await this.#store.removeUpload(tenantId, id);
      return asset;
    } catch (error) {
      if (isFinal(error)) await this.#removeObject(tenantId, objectKey);
      throw error;
    }
  }

  /** @throws not_found */
  async abortUpload(tenantId: string, kind: AssetKind, id: string): Promise<void> {
    const { objectKey, bucketUploadId } = await this.getUpload(tenantId, kind, id);
    // From here on, no request can complete the upload.
    if (!(await this.#store.doomObject(tenantId, objectKey))) throw notFound('an open upload with this id');
    await this.#requireBucket().abortMultipart(objectKey, bucketUploadId);
    await this.#removeObject(tenantId, objectKey);
  }

  /** Deletes objects that nothing names after the grace period, of all tenants. @returns how many */
  async sweep({ objectsMax, graceSeconds = LIMITS.assetGraceSeconds }: SweepOptions): Promise<number> {
    const bucket = this.#bucket;
    if (bucket === null) return 0;
    await bucket.removeAbandoned?.(graceSeconds * 1_000, this.#options.now());
    const objects = await this.#store.doomObjects(graceSeconds, objectsMax);
    for (const [tenantId, own] of Map.groupBy(objects, (object) => object.tenantId)) {
      for (const { objectKey, bucketUploadId } of own)
        if (bucketUploadId !== null) await bucket.abortMultipart(objectKey, bucketUploadId);
      const keys = own.map(({ objectKey }) => objectKey);
      await bucket.delete(keys);
      await this.#store.forgetObjects(tenantId, keys);
    }
    return objects.length;
  }

  async #addKnown(tenantId: string, kind: AssetKind, { name, sha256 }: UploadInput): Promise<LibraryAsset> {
    if (sha256 === null)
      throw invalid(
        '',
        'must not be empty. An empty body needs a Repr-Digest of bytes that are stored already',
      );
    const id = this.#options.createId();
    if (!(await this.#store.registerKnown(tenantId, { kind, id, name, sha256 })))
      throw notFound('these bytes');
    return this.get(tenantId, kind, id);
  }

  /** @throws quota_exceeded */
  async #beginObject(tenantId: string, bytes: number): Promise<string> {
    const { quotaBytes } = this.#options;
    const key = `files/${crypto.randomUUID()}`;
    const { used, isNoted } = await this.#store.beginObject(tenantId, { key, bytes, quotaBytes });
    if (!isNoted) throw overQuota({ used, quotaBytes, bytes });
    return key;
  }

  async #register(
    tenantId: string,
    kind: AssetKind,
    { key, name, bytes }: { key: string; name: string; bytes: number },
    inspected: InspectedBody,
  ): Promise<LibraryAsset> {
    const { quotaBytes, createId } = this.#options;
    const found = await inspected.finish();
    const id = createId();
    const asset = { ...found, kind, id, name, bytes, key, quotaBytes };
    const { status, used } = await this.#store.registerObject(tenantId, asset);
    if (status === 'over_quota') throw overQuota({ used, quotaBytes, bytes });
    if (status === 'gone')
      throw new AppError(
        'conflict',
        'The upload is complete already, or has expired. List the files, then upload it again if it is not there.',
      );
    if (status === 'known') await this.#removeObject(tenantId, key);
    return this.get(tenantId, kind, id);
  }

  /** Runs the rest of an upload. If it fails, its object goes. */
  async #unlessFailed<T>(tenantId: string, key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await this.#removeObject(tenantId, key);
      throw error;
    }
  }

  /**
   * Deletes an object, unless a registration has made it a stored file. The answer to the registration may have been lost, or
   * another request may have registered it. A failure changes nothing for the caller: the object stays noted, and a sweep deletes it.
   */
  async #removeObject(tenantId: string, key: string): Promise<void> {
    try {
      if (!(await this.#store.doomObject(tenantId, key))) return;
      await this.#bucket?.delete([key]);
      await this.#store.forgetObjects(tenantId, [key]);
    } catch (cause) {
      this.#options.onFailure(cause);
    }
  }

  async #load(tenantId: string, kind: AssetKind, id: string): Promise<StoredAsset> {
    const asset = await this.#store.loadAsset(tenantId, kind, checkId(id, '/id'));
    if (asset === null) throw notFound(ASSET_THINGS[kind]);
    return asset;
  }

  #requireBucket(): FileStore {
    if (this.#bucket !== null) return this.#bucket;
    throw new AppError(
      'no_asset_store',
      'This server has no bucket for files. Set ASSET_DIR or ASSET_S3_ENDPOINT, or bind ASSETS_BUCKET on Workers.',
    );
  }
}

export interface SweepOptions {
  /** Objects of one sweep at most. */
  objectsMax: number;
  graceSeconds?: number;
}

export function countParts(bytes: number): number {
  return Math.ceil(bytes / LIMITS.assetPartBytes);
}

export function findMissingParts({ bytes, parts }: FileUpload): number[] {
  const has = new Set(parts.map(({ part }) => part));
  return Array.from({ length: countParts(bytes) }, (_, i) => i + 1).filter((part) => !has.has(part));
}

/** Whether a retry would fail in the same way. */
function isFinal(error: unknown): boolean {
  return error instanceof AppError && error.code !== 'store_unavailable';
}

function wrongDigest(): AppError {
  return new AppError(
    'digest_mismatch',
    'The body does not have the announced SHA-256 digest. Upload it again.',
  );
}

function overQuota({
  used,
  quotaBytes,
  bytes,
}: {
  used: number;
  quotaBytes: number;
  bytes: number;
}): AppError {
  return new AppError(
    'quota_exceeded',
    `The files of this tenant use ${used} of ${quotaBytes} bytes. This file needs ${bytes} bytes more. Delete files first.`,
  );
}

function invalid(path: string, message: string): AppError {
  return new AppError('validation_failed', 'The input is not valid.', { errors: [{ path, message }] });
}
