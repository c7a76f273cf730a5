import { type Bucket, bucketAway, checkKey, checkParts } from './bucket.ts';
import { CheckedBody, type Sha256 } from './checked-body.ts';
import { type S3Answer, S3Client, type S3Options } from './s3-client.ts';
import { explainFailure, readFailure } from './s3-errors.ts';
import { printParts, readXmlRoot, readXmlText } from './s3-xml.ts';

export interface S3BucketOptions extends S3Options {
  /**
   * Checks digests here, such as `() => createHash('sha256')` of Node. Without it only the S3 server checks them, and some servers
   * ignore the digest.
   */
  createSha256?: () => Sha256;
}

/** Deletes at the same time. A Worker has six connections. */
const DELETES_MAX = 4;

/** A bucket of any server that speaks S3: AWS, R2, MinIO and others. No request is repeated. */
export function createS3Bucket({ createSha256, ...options }: S3BucketOptions): Bucket {
  const client = new S3Client(options);
  const { variables } = options;

  /** Sends a body. It is sent to its last byte only if its length and digest are correct. */
  async function upload(
    request: { key: string; query?: string; headers?: Record<string, string> },
    body: CheckedBody,
    bytes: number,
  ): Promise<S3Answer> {
    try {
      // fetch does not read a body of zero bytes to its end.
      if (bytes === 0) await body.stream.getReader().read();
      const sent = bytes === 0 ? '' : { stream: body.stream, bytes };
      const answer = await client.send({ method: 'PUT', ...request, body: sent });
      await answer.text();
      if (!body.isComplete)
        throw bucketAway(`The S3 server at ${variables.endpoint} answered before it had the whole body.`);
      return answer;
    } catch (error) {
      throw body.failure === null ? error : body.failure.error;
    } finally {
      await body.abandon();
    }
  }

  /** Deletes an object or an upload. @param missing the code for one that is gone */
  async function remove(key: string, query: string, missing: string): Promise<void> {
    const answer = await client.send({ method: 'DELETE', key, query }, [404]);
    const xml = await answer.text();
    if (answer.status === 404) checkMissing(xml, missing);
  }

  /** Some servers answer 404 without a document. @throws store_unavailable if the bucket itself is missing */
  function checkMissing(xml: string, code: string): void {
    const failure = readFailure(404, xml);
    if (failure.code !== code && failure.code !== '') throw explainFailure(failure, variables);
  }

  return {
    async put(key, source, { bytes, contentType, sha256 }) {
      checkKey(key);
      const hash = sha256 && createSha256?.();
      const body = new CheckedBody(source, { bytes, digest: sha256 && hash && { sha256, hash } });
      const headers = {
        'Content-Type': contentType,
        ...(sha256 && { 'x-amz-checksum-sha256': btoa(String.fromCharCode(...sha256)) }),
      };
      await upload({ key, headers }, body, bytes);
    },

    async get(key, range) {
      checkKey(key);
      const headers: Record<string, string> = range ? { Range: `bytes=${range.first}-${range.last}` } : {};
      const answer = await client.send({ method: 'GET', key, headers }, [404]);
      if (answer.status === 404) {
        checkMissing(await answer.text(), 'NoSuchKey');
        return null;
      }
      const bytes = readLength(answer);
      if (bytes === null || (range !== undefined && answer.status !== 206)) {
        await answer.body.cancel();
        throw bucketAway(`The S3 server at ${variables.endpoint} does not answer as S3 does.`);
      }
      return { body: answer.body, bytes };
    },

    async head(key) {
      checkKey(key);
      const answer = await client.send({ method: 'HEAD', key }, [404]);
      await answer.text();
      if (answer.status === 404) return null;
      const bytes = readLength(answer);
      if (bytes === null)
        throw bucketAway(`The S3 server at ${variables.endpoint} does not answer as S3 does.`);
      return { bytes };
    },

    async delete(keys) {
      keys.forEach(checkKey);
      const waiting = keys.values();
      await Promise.all(
        Array.from({ length: DELETES_MAX }, async () => {
          for (const key of waiting) await remove(key, '', 'NoSuchKey');
        }),
      );
    },

    async createMultipart(key, { contentType }) {
      checkKey(key);
      const headers = { 'Content-Type': contentType };
      const answer = await client.send({ method: 'POST', key, query: '?uploads=', headers });
      const uploadId = readXmlText(await answer.text(), 'InitiateMultipartUploadResult', 'UploadId');
      if (!uploadId) throw bucketAway(`The S3 server at ${variables.endpoint} did not return an upload id.`);
      return uploadId;
    },

    async uploadPart(key, uploadId, part, source, bytes) {
      checkKey(key);
      const query = `?partNumber=${part}&uploadId=${encodeURIComponent(uploadId)}`;
      const answer = await upload({ key, query }, new CheckedBody(source, { bytes }), bytes);
      const etag = answer.headers.get('ETag');
      if (etag === null) throw bucketAway(`The S3 server at ${variables.endpoint} did not return an etag.`);
      return etag;
    },

    async completeMultipart(key, uploadId, parts) {
      checkKey(key);
      checkParts(parts);
      const query = `?uploadId=${encodeURIComponent(uploadId)}`;
      const headers = { 'Content-Type': 'application/xml' };
      const answer = await client.send({ method: 'POST', key, query, headers, body: printParts(parts) });
      const xml = await answer.text();
      // S3 sends the status before it has joined the parts.
      if (readXmlRoot(xml) !== 'CompleteMultipartUploadResult')
        throw explainFailure(readFailure(answer.status, xml), variables);
    },

    async abortMultipart(key, uploadId) {
      checkKey(key);
      await remove(key, `?uploadId=${encodeURIComponent(uploadId)}`, 'NoSuchUpload');
    },
  };
}

function readLength({ headers }: S3Answer): number | null {
  const text = headers.get('Content-Length');
  return text !== null && /^\d+$/.test(text) ? Number(text) : null;
}
