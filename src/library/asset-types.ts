import type { Asset, JsonObject } from '../world/types.ts';

/** The two libraries of a tenant: 3D models, and images, audio and video. */
export type AssetKind = 'model' | 'media';

/** A model or a media file. `details` are the results of the inspection; null for a URL. */
export interface LibraryAsset extends Asset {
  details: JsonObject | null;
}

/** The same with the place of its bytes; null: they are elsewhere, at `url`. */
export interface StoredAsset extends LibraryAsset {
  objectKey: string | null;
}

/** The first and the last byte, inclusive, from 0. */
export interface ByteRange {
  first: number;
  last: number;
}

/** The part of a bucket that AssetLibrary needs. A key is written once. Errors of a body are thrown unchanged. */
export interface FileStore {
  /** Stores exactly `bytes` bytes, or nothing. @throws length_mismatch, digest_mismatch, store_unavailable */
  put(
    key: string,
    body: ReadableStream<Uint8Array>,
    options: { bytes: number; contentType: string; sha256?: Uint8Array },
  ): Promise<void>;
  /** @param range inside the object */
  get(key: string, range?: ByteRange): Promise<{ body: ReadableStream<Uint8Array>; bytes: number } | null>;
  head(key: string): Promise<{ bytes: number } | null>;
  delete(keys: readonly string[]): Promise<void>;
  createMultipart(key: string, options: { contentType: string }): Promise<string>;
  uploadPart(
    key: string,
    uploadId: string,
    part: number,
    body: ReadableStream<Uint8Array>,
    bytes: number,
  ): Promise<string>;
  completeMultipart(
    key: string,
    uploadId: string,
    parts: readonly { part: number; etag: string }[],
  ): Promise<void>;
  abortMultipart(key: string, uploadId: string): Promise<void>;
  /** Deletes what dead writes left, where the bucket does not do so itself. @param now milliseconds since 1970 */
  removeAbandoned?(olderThanMs: number, now: number): Promise<number>;
}

/** An upload of a large file in parts. */
export interface FileUpload {
  id: string;
  kind: AssetKind;
  name: string;
  contentType: string | null;
  bytes: number;
  objectKey: string;
  bucketUploadId: string;
  /** RFC 3339. */
  createdAt: string;
  /** The parts that the bucket has, in ascending order. */
  parts: { part: number; etag: string }[];
}

export interface NewAsset {
  kind: AssetKind;
  id: string;
  name: string;
  /** 64 lower-case hexadecimal digits. */
  sha256: string;
  bytes: number;
  contentType: string;
  details: JsonObject;
}

/** The part of Postgres that AssetLibrary needs. Each method is one transaction. */
export interface AssetStore {
  /** See begin_object. */
  beginObject(
    tenantId: string,
    object: { key: string; bytes: number; quotaBytes: number },
  ): Promise<{ used: number; isNoted: boolean }>;
  /** See register_object. */
  registerObject(
    tenantId: string,
    asset: NewAsset & { key: string; quotaBytes: number },
  ): Promise<{ status: 'stored' | 'known' | 'over_quota' | 'gone'; used: number }>;
  /** Whether an asset of this kind has these bytes. */
  hasFile(tenantId: string, kind: AssetKind, sha256: string): Promise<boolean>;
  /** See register_known. */
  registerKnown(
    tenantId: string,
    asset: { kind: AssetKind; id: string; name: string; sha256: string },
  ): Promise<boolean>;
  addUrl(tenantId: string, asset: { kind: AssetKind; id: string; name: string; url: string }): Promise<void>;
  loadAsset(tenantId: string, kind: AssetKind, id: string): Promise<StoredAsset | null>;
  /** Newest first. @param before the last id of the previous page; '' for the first page */
  listAssets(
    tenantId: string,
    kind: AssetKind,
    page: { limit: number; before: string; sha256: string | null },
  ): Promise<LibraryAsset[]>;
  /** See delete_asset. */
  deleteAsset(
    tenantId: string,
    kind: AssetKind,
    id: string,
  ): Promise<{ isFound: boolean; objectKey: string | null }>;
  /** See doom_objects. */
  doomObjects(
    seconds: number,
    limit: number,
  ): Promise<{ tenantId: string; objectKey: string; bucketUploadId: string | null }[]>;
  /**
   * Takes a loose object, so that no registration can use it any more. The caller deletes it from the bucket, then calls `forgetObjects`.
   * @returns false if the object is not loose: it is a stored file, or was forgotten
   */
  doomObject(tenantId: string, key: string): Promise<boolean>;
  forgetObjects(tenantId: string, keys: readonly string[]): Promise<void>;
  addUpload(tenantId: string, upload: Omit<FileUpload, 'createdAt' | 'parts'>): Promise<void>;
  loadUpload(tenantId: string, kind: AssetKind, id: string): Promise<FileUpload | null>;
  addPart(tenantId: string, uploadId: string, part: { part: number; etag: string }): Promise<void>;
  removeUpload(tenantId: string, uploadId: string): Promise<void>;
}
