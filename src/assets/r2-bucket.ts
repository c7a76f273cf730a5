import { AppError } from '../world/errors.ts';
import {
  type Bucket,
  bucketAway,
  bucketRefuses,
  checkKey,
  checkParts,
  digestMismatch,
  lengthMismatch,
  unknownUpload,
  wrongParts,
} from './bucket.ts';
import { type FixedLengthStreamClass, findFixedLengthStream } from './fixed-length-stream.ts';

/** The part of Cloudflare's `R2Bucket` binding that worldkeep uses. */
export interface R2Binding {
  put(
    key: string,
    value: ReadableStream<Uint8Array>,
    options: { httpMetadata: { contentType: string }; sha256?: Uint8Array },
  ): Promise<unknown>;
  get(
    key: string,
    options?: { range: { offset: number; length: number } },
  ): Promise<{ body: ReadableStream<Uint8Array>; size: number } | null>;
  head(key: string): Promise<{ size: number } | null>;
  delete(keys: string[]): Promise<void>;
  createMultipartUpload(
    key: string,
    options: { httpMetadata: { contentType: string } },
  ): Promise<{ uploadId: string }>;
  resumeMultipartUpload(key: string, uploadId: string): R2Upload;
}

export interface R2Upload {
  uploadPart(part: number, value: ReadableStream<Uint8Array>): Promise<{ etag: string }>;
  complete(parts: { partNumber: number; etag: string }[]): Promise<unknown>;
  abort(): Promise<void>;
}

const DELETED_KEYS_MAX = 1_000;

/** No client uses it: {@link PARTS_MAX} is smaller. */
const PROBE_PART = 10_000;

/** R2's number of an error is at the end of its message. https://developers.cloudflare.com/r2/api/error-codes/ */
const NUMBER = /\((\d{5,6})\)$/;
const INTERNAL_ERROR = 10001;
const NO_SUCH_BUCKET = 10006;
const ENTITY_TOO_SMALL = 10011;
const NO_SUCH_UPLOAD = 10024;
const INVALID_PART = 10025;
const BAD_DIGEST = 10037;
const INVALID_PARTS = 10048;

/**
 * A bucket behind a binding of Cloudflare Workers. The runtime copies the bytes, so that a large body takes no CPU time of the Worker.
 * @param binding the name of the binding, for messages
 * @throws misconfigured outside of Workers
 */
export function createR2Bucket(r2: R2Binding, binding: string): Bucket {
  const found = findFixedLengthStream();
  if (found === null)
    throw new AppError(
      'misconfigured',
      'An R2 binding works only on Cloudflare Workers. Configure another bucket.',
    );
  const FixedLengthStream: FixedLengthStreamClass = found;

  /** R2 accepts only streams of known length. */
  async function send<T>(
    body: ReadableStream<Uint8Array>,
    bytes: number,
    store: (stream: ReadableStream<Uint8Array>) => Promise<T>,
  ): Promise<T> {
    const { readable, writable } = new FixedLengthStream(bytes);
    const [piped, stored] = await Promise.allSettled([body.pipeTo(writable), store(readable)]);
    if (stored.status === 'fulfilled' && piped.status === 'fulfilled') return stored.value;
    const errors = [stored, piped].flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    if (errors.some(isWrongLength)) throw lengthMismatch(bytes);
    // If the body fails, the pipe has the body's own error, and R2 has an error that results from it.
    const [reason] = errors;
    throw piped.status === 'rejected' && !isAnswer(reason) ? piped.reason : explain(reason);
  }

  /** R2 answers “internal error” to two requests of an upload that does not exist. Only storing a part tells. */
  async function isUnknown(upload: R2Upload, error: unknown): Promise<boolean> {
    if (readNumber(error) === NO_SUCH_UPLOAD) return true;
    if (readNumber(error) !== INTERNAL_ERROR) return false;
    const { readable, writable } = new FixedLengthStream(0);
    const closed = writable.close();
    const [stored] = await Promise.allSettled([upload.uploadPart(PROBE_PART, readable), closed]);
    return stored.status === 'rejected' && readNumber(stored.reason) === NO_SUCH_UPLOAD;
  }

  function explain(error: unknown): unknown {
    switch (readNumber(error)) {
      case NO_SUCH_UPLOAD:
        return unknownUpload(error);
      case ENTITY_TOO_SMALL:
      case INVALID_PART:
      case INVALID_PARTS:
        return wrongParts(error);
      case BAD_DIGEST:
        return digestMismatch(error);
      case NO_SUCH_BUCKET:
        return bucketRefuses(
          `The R2 bucket of the binding ${binding} does not exist. Create it, or correct bucket_name in wrangler.toml.`,
          error,
        );
      default:
        return bucketAway(`The R2 bucket of the binding ${binding} does not answer.`, error);
    }
  }

  const ask = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      throw explain(error);
    });

  return {
    async put(key, body, { bytes, contentType, sha256 }) {
      checkKey(key);
      try {
        await send(body, bytes, (stream) =>
          r2.put(key, stream, { httpMetadata: { contentType }, ...(sha256 && { sha256 }) }),
        );
      } catch (error) {
        // R2's local emulator stores the first bytes of a body that is too long.
        await r2.delete([key]).catch(() => undefined);
        throw error;
      }
    },

    async get(key, range) {
      checkKey(key);
      const length = range && range.last - range.first + 1;
      const options = range && { range: { offset: range.first, length: length as number } };
      const object = await ask(r2.get(key, options));
      return object && { body: object.body, bytes: length ?? object.size };
    },

    async head(key) {
      checkKey(key);
      const object = await ask(r2.head(key));
      return object && { bytes: object.size };
    },

    async delete(keys) {
      keys.forEach(checkKey);
      for (let i = 0; i < keys.length; i += DELETED_KEYS_MAX)
        await ask(r2.delete(keys.slice(i, i + DELETED_KEYS_MAX)));
    },

    async createMultipart(key, { contentType }) {
      checkKey(key);
      const { uploadId } = await ask(r2.createMultipartUpload(key, { httpMetadata: { contentType } }));
      return uploadId;
    },

    async uploadPart(key, uploadId, part, body, bytes) {
      checkKey(key);
      const upload = r2.resumeMultipartUpload(key, uploadId);
      const { etag } = await send(body, bytes, (stream) => upload.uploadPart(part, stream));
      return etag;
    },

    async completeMultipart(key, uploadId, parts) {
      checkKey(key);
      checkParts(parts);
      const numbered = parts.map(({ part, etag }) => ({ partNumber: part, etag }));
      const upload = r2.resumeMultipartUpload(key, uploadId);
      try {
        await upload.complete(numbered);
      } catch (error) {
        throw (await isUnknown(upload, error)) ? unknownUpload(error) : explain(error);
      }
    },

    async abortMultipart(key, uploadId) {
      checkKey(key);
      const upload = r2.resumeMultipartUpload(key, uploadId);
      try {
        await upload.abort();
      } catch (error) {
        if (!(await isUnknown(upload, error))) throw explain(error);
      }
    },
  };
}

function readNumber(error: unknown): number | null {
  const number = error instanceof Error ? NUMBER.exec(error.message)?.[1] : undefined;
  return number === undefined ? null : Number(number);
}

/** Whether R2 itself refused the request. It has an internal error also if the body fails. */
function isAnswer(error: unknown): boolean {
  const number = readNumber(error);
  return number !== null && number !== INTERNAL_ERROR;
}

/** The runtime has no other sign of it than these words. */
function isWrongLength(error: unknown): boolean {
  return error instanceof TypeError && error.message.includes('FixedLengthStream');
}
