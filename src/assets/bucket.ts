import { AppError } from '../world/errors.ts';

/**
 * A store for the bytes of models and media. Web streams only, so that every runtime can use it.
 *
 * - Nothing is held in memory except the chunks in flight.
 * - A key is written once. It has the form of {@link checkKey}. A failed `put` may delete an earlier object of its key.
 * - Every method throws `store_unavailable` if the bucket does not answer or refuses the credentials. The write may then have been done.
 * - An error of the body that a caller passes in is thrown unchanged. After any failure, that body is cancelled.
 */
export interface Bucket {
  /**
   * Stores exactly `bytes` bytes.
   * @param options `sha256` has 32 bytes
   * @throws length_mismatch, digest_mismatch. The key then has no object.
   */
  put(key: string, body: ReadableStream<Uint8Array>, options: PutOptions): Promise<void>;
  /**
   * The caller reads the body to its end, or cancels it.
   * @param range must be inside the object: a bucket may answer a wrong range with the whole object
   * @returns the body and its length; null if there is no such object
   */
  get(key: string, range?: ByteRange): Promise<{ body: ReadableStream<Uint8Array>; bytes: number } | null>;
  /** @returns the length of the object; null if there is no such object */
  head(key: string): Promise<{ bytes: number } | null>;
  /** Deletes objects. A missing object is no error. Not atomic. */
  delete(keys: readonly string[]): Promise<void>;
  /** Starts an upload in parts. @returns its id. Any adapter for the same bucket can continue it. */
  createMultipart(key: string, options: { contentType: string }): Promise<string>;
  /**
   * Stores one part. A repeat replaces it.
   * @param part from 1 to {@link PARTS_MAX}
   * @param bytes the exact length. All parts except the last have the same length, at least {@link PART_BYTES_MIN}.
   * @returns an etag for `completeMultipart`
   * @throws not_found for an unknown upload; length_mismatch
   */
  uploadPart(
    key: string,
    uploadId: string,
    part: number,
    body: ReadableStream<Uint8Array>,
    bytes: number,
  ): Promise<string>;
  /**
   * Joins the parts into one object. After `store_unavailable` or a lost reply, `head` tells whether the object exists.
   * @param parts in ascending order, from part 1
   * @throws not_found for an unknown, completed or aborted upload; conflict for parts that the bucket does not have or join
   */
  completeMultipart(key: string, uploadId: string, parts: readonly UploadedPart[]): Promise<void>;
  /** Deletes the parts of an upload. An upload that is gone is no error. */
  abortMultipart(key: string, uploadId: string): Promise<void>;
}

export interface PutOptions {
  bytes: number;
  contentType: string;
  sha256?: Uint8Array;
}

/** The first and the last byte, inclusive, from 0. */
export interface ByteRange {
  first: number;
  last: number;
}

export interface UploadedPart {
  part: number;
  etag: string;
}

/** The smallest length of a part that is not the last one. */
export const PART_BYTES_MIN = 5 * 1024 * 1024;

/** S3 allows one more, which the R2 adapter needs. */
export const PARTS_MAX = 9_999;

const KEY = /^[a-z0-9-]+(\/[a-z0-9-]+)*$/;
/** The longest file name. */
const KEY_LENGTH_MAX = 255;

/**
 * Every adapter refuses the same keys. These keys need no escape in a URL and cannot leave a folder.
 * @throws TypeError: the code that makes keys is wrong
 */
export function checkKey(key: string): void {
  if (key.length > KEY_LENGTH_MAX || !KEY.test(key))
    throw new TypeError(
      `A key has at most ${KEY_LENGTH_MAX} characters: a-z, 0-9 and -, with single slashes between them.`,
    );
}

/** @throws conflict for a list that no bucket can join */
export function checkParts(parts: readonly UploadedPart[]): void {
  if (parts.length === 0 || parts.some(({ part }, i) => part !== i + 1)) throw wrongParts();
}

export function lengthMismatch(bytes: number): AppError {
  return new AppError(
    'length_mismatch',
    `The body does not have the announced length of ${bytes} bytes. Upload it again.`,
  );
}

export function digestMismatch(cause?: unknown): AppError {
  return new AppError(
    'digest_mismatch',
    'The body does not have the announced SHA-256 digest. Upload it again.',
    { cause },
  );
}

export function unknownUpload(cause?: unknown): AppError {
  return new AppError(
    'not_found',
    'This upload does not exist: it was completed, aborted or expired. Start a new upload.',
    { cause },
  );
}

export function wrongParts(cause?: unknown): AppError {
  return new AppError(
    'conflict',
    `The bucket cannot join these parts. Upload all parts from 1, each except the last with the same size, at least ${PART_BYTES_MIN} bytes.`,
    { cause },
  );
}

/** The bucket does not answer, or cannot serve this request now. */
export function bucketAway(message: string, cause?: unknown): AppError {
  return new AppError('store_unavailable', message, { cause, retryAfterSeconds: 5 });
}

/** No retry succeeds until an operator corrects a setting. */
export function bucketRefuses(message: string, cause?: unknown): AppError {
  return new AppError('store_unavailable', message, { cause, retryAfterSeconds: 30, needsOperator: true });
}
