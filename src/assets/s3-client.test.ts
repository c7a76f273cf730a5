import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import type { Bucket } from './bucket.ts';
import { createS3Bucket, type S3BucketOptions } from './s3-bucket.ts';
import { hash, makeBody, makeBytes, readAll, repeatChunk } from './testing/bodies.ts';
import { S3_VARIABLES } from './testing/s3-server.ts';

type Handle = (request: IncomingMessage, response: ServerResponse) => unknown;

const TYPE = { contentType: 'model/gltf-binary' };
const SECRET = 'a-secret-of-the-test';
/** Short enough for a test. No test asserts a duration. */
const SILENCE_MS = 60;
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A bucket on a server with the answers of a test. */
async function open(handle: Handle, changes: Partial<S3BucketOptions> = {}): Promise<Bucket> {
  const server = createServer((request, response) => void handle(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  const { port } = server.address() as AddressInfo;
  return createS3Bucket({
    endpoint: `http://127.0.0.1:${port}/`,
    bucket: 'assets',
    accessKeyId: 'AKIATEST',
    secretAccessKey: SECRET,
    variables: S3_VARIABLES,
    ...changes,
  });
}

const printError = (code: string) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${SECRET}</Message></Error>`;

/** Answers after the whole request. */
const answering =
  (status: number, body: string, headers: Record<string, string> = {}): Handle =>
  async (request, response) => {
    await text(request);
    response.writeHead(status, headers).end(body);
  };

const put = (bucket: Bucket, bytes = 1_000) =>
  bucket.put('a/b', makeBody([makeBytes(bytes)]).stream, { bytes, ...TYPE });

describe('a request to S3', () => {
  it('streams a body with its length, type and digest', async () => {
    let seen: IncomingMessage | undefined;
    let received = '';
    const bucket = await open(async (request, response) => {
      seen = request;
      request.setEncoding('latin1');
      received = await text(request);
      response.end();
    });
    const bytes = makeBytes(200_000);
    const sha256 = await hash(bytes);
    const { stream } = makeBody([bytes.slice(0, 7), bytes.slice(7)]);
    await bucket.put('a/b', stream, { bytes: 200_000, sha256, ...TYPE });
    expect(seen?.method).toBe('PUT');
    expect(seen?.url).toBe('/assets/a/b');
    expect(seen?.headers).toMatchObject({
      'content-length': '200000',
      'content-type': 'model/gltf-binary',
      'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
      'x-amz-checksum-sha256': Buffer.from(sha256).toString('base64'),
      authorization: expect.stringMatching(
        /\/auto\/s3\/aws4_request, SignedHeaders=host;x-amz-checksum-sha256;x-amz-content-sha256;x-amz-date,/,
      ),
    });
    expect(seen?.headers['transfer-encoding']).toBeUndefined();
    expect(received.length).toBe(200_000);
  });

  it('has a length also for an empty object', async () => {
    let length: string | undefined;
    const bucket = await open((request, response) => {
      length = request.headers['content-length'];
      response.end();
    });
    await bucket.put('a/b', makeBody([]).stream, { bytes: 0, ...TYPE });
    expect(length).toBe('0');
  });

  it('fails if the server confirms a body that it has not received', async () => {
    const bucket = await open((_, response) => response.end());
    const { stream } = makeBody(repeatChunk(64 * 1024, 1_000));
    await expect(bucket.put('a/b', stream, { bytes: 64 * 1024 * 1_000, ...TYPE })).rejects.toMatchObject({
      code: 'store_unavailable',
    });
  });

  it('fails as the server’s fault if the connection is cut while the client pauses', async () => {
    const bucket = await open((request) => void request.once('data', () => request.socket.destroy()));
    let reads = 0;
    let isCancelled = false;
    const stream = new ReadableStream<Uint8Array>(
      {
        // Two chunks, then a read that never ends.
        pull: (controller) =>
          reads++ < 2 ? controller.enqueue(new Uint8Array(2)) : new Promise(() => undefined),
        cancel() {
          isCancelled = true;
        },
      },
      { highWaterMark: 0 },
    );
    await expect(bucket.put('a/b', stream, { bytes: 100, ...TYPE })).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect(isCancelled).toBe(true);
  });

  it.each([500, 503, 429])('is not repeated after status %i', async (status) => {
    let requests = 0;
    const bucket = await open((request, response) => {
      requests++;
      return answering(status, printError('SlowDown'))(request, response);
    });
    await expect(put(bucket)).rejects.toMatchObject({
      code: 'store_unavailable',
      needsOperator: false,
      retryAfterSeconds: 5,
      message: `The S3 server at S3_ENDPOINT cannot do this now (status ${status}, SlowDown).`,
    });
    expect(requests).toBe(1);
  });

  it('is not repeated if the connection is cut', async () => {
    let requests = 0;
    const bucket = await open((request) => {
      requests++;
      request.socket.destroy();
    });
    await expect(bucket.head('a/b')).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(put(bucket)).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(requests).toBe(2);
  });

  it.each([
    [404, 'NoSuchBucket', 'S3_BUCKET'],
    [403, 'InvalidAccessKeyId', 'S3_ACCESS_KEY_ID'],
    [403, 'SignatureDoesNotMatch', 'S3_SECRET_ACCESS_KEY'],
    [403, 'AccessDenied', 'S3_ACCESS_KEY_ID'],
    [403, 'RequestTimeTooSkewed', 'clock'],
    [400, 'AuthorizationHeaderMalformed', 'S3_REGION'],
    [301, 'PermanentRedirect', 'S3_REGION'],
  ])('after %i %s, names the setting to correct and no secret', async (status, code, words) => {
    const elsewhere = { location: 'http://127.0.0.1:9/' };
    const bucket = await open(answering(status, printError(code), elsewhere));
    const error = await put(bucket).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'store_unavailable', needsOperator: true });
    expect(String(error)).toContain(words);
    expect(String(error)).not.toContain(SECRET);
  });

  it('is refused by a server that answers before it read the body', async () => {
    const bucket = await open((_, response) => {
      response.writeHead(403, { connection: 'close' }).end(printError('AccessDenied'));
    });
    const body = makeBody(repeatChunk(64 * 1024, 1_000));
    await expect(bucket.put('a/b', body.stream, { bytes: 64 * 1024 * 1_000, ...TYPE })).rejects.toMatchObject(
      { code: 'store_unavailable' },
    );
    expect(body.isCancelled).toBe(true);
  });

  it.each([
    ['digest_mismatch', 'BadDigest'],
    ['digest_mismatch', 'XAmzContentChecksumMismatch'],
    ['not_found', 'NoSuchUpload'],
    ['conflict', 'EntityTooSmall'],
  ])('fails as %s after %s', async (code, answer) => {
    await expect(put(await open(answering(400, printError(answer))))).rejects.toMatchObject({ code });
  });
});

describe('a digest', () => {
  const options = { bytes: 1_000, ...TYPE, sha256: new Uint8Array(32) };

  it('is checked by the server, if nothing here computes it', async () => {
    const bucket = await open(answering(200, ''));
    const { stream } = makeBody([makeBytes(1_000)]);
    await expect(bucket.put('a/b', stream, options)).resolves.toBeUndefined();
  });
});

describe('an S3 server that is silent', () => {
  const silent = { silenceMsMax: SILENCE_MS };
  const message = `The S3 server at S3_ENDPOINT made no progress for ${SILENCE_MS} ms.`;

  it('fails a request that gets no answer', async () => {
    const bucket = await open(() => undefined, silent);
    const body = makeBody([makeBytes(10)]);
    await expect(bucket.head('a/b')).rejects.toMatchObject({ code: 'store_unavailable', message });
    await expect(bucket.put('a/b', body.stream, { bytes: 10, ...TYPE })).rejects.toMatchObject({ message });
  });

  it('fails an upload that it stops reading, and cancels the body', async () => {
    const bucket = await open((request) => void request.pause(), silent);
    const body = makeBody(repeatChunk(64 * 1024, 1_000));
    await expect(bucket.put('a/b', body.stream, { bytes: 64 * 1024 * 1_000, ...TYPE })).rejects.toMatchObject(
      { code: 'store_unavailable', message },
    );
    expect(body.isCancelled).toBe(true);
  });

  it('fails a download that stops', async () => {
    const bucket = await open((_, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('abc');
    }, silent);
    const object = await bucket.get('a/b');
    await expect(readAll(object?.body ?? makeBody([]).stream)).rejects.toMatchObject({ message });
  });

  it('is not blamed for a slow client', async () => {
    const bucket = await open(answering(200, '0123456789', { 'content-length': '10' }), silent);
    const pause = () => new Promise((resolve) => setTimeout(resolve, 3 * SILENCE_MS));
    const chunks = [1, 2, 3];
    const slow = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await pause();
        const next = chunks.shift();
        if (next === undefined) controller.close();
        else controller.enqueue(new Uint8Array(next));
      },
    });
    await bucket.put('a/b', slow, { bytes: 6, ...TYPE });
    const object = await bucket.get('a/b');
    await pause();
    expect((await readAll(object?.body ?? makeBody([]).stream)).length).toBe(10);
  });
});

describe('an answer that is not of S3', () => {
  it('fails a completion that says 200 with an error inside', async () => {
    const bucket = await open(answering(200, printError('InternalError')));
    await expect(bucket.completeMultipart('a', 'id', [{ part: 1, etag: '"x"' }])).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('InternalError'),
    });
  });

  it.each(['', 'ok', '<html><body>Welcome</body></html>', '<a/>'])(
    'fails calls with XML: %j',
    async (body) => {
      const bucket = await open(answering(200, body));
      const complete = () => bucket.completeMultipart('a', 'id', [{ part: 1, etag: '"x"' }]);
      await expect(complete()).rejects.toMatchObject({ code: 'store_unavailable' });
      await expect(bucket.createMultipart('a', TYPE)).rejects.toMatchObject({ code: 'store_unavailable' });
    },
  );

  it('is not read to an end that is far away', async () => {
    const bucket = await open(answering(200, 'x'.repeat(1_000_000)));
    await expect(bucket.createMultipart('a', TYPE)).rejects.toThrow('too long');
  });

  it('fails a part without an etag', async () => {
    const bucket = await open(answering(200, ''));
    const { stream } = makeBody([makeBytes(1)]);
    await expect(bucket.uploadPart('a', 'id', 1, stream, 1)).rejects.toThrow('etag');
  });

  it('fails a range that gets the whole object, and an object without a length', async () => {
    const whole = await open(answering(200, '0123456789', { 'content-length': '10' }));
    await expect(whole.get('a', { first: 0, last: 4 })).rejects.toMatchObject({ code: 'store_unavailable' });
    const chunked = await open(answering(200, '0123456789'));
    await expect(chunked.get('a')).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  it('escapes ids and etags of a server', async () => {
    const requests: string[] = [];
    const bucket = await open(async (request, response) => {
      requests.push(`${request.method} ${request.url} ${await text(request)}`);
      response.end(
        request.method === 'POST' && request.url?.endsWith('?uploads=')
          ? '<InitiateMultipartUploadResult><UploadId>a&amp;b/+%</UploadId></InitiateMultipartUploadResult>'
          : '<CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></CompleteMultipartUploadResult>',
      );
    });
    const uploadId = await bucket.createMultipart('a', TYPE);
    expect(uploadId).toBe('a&b/+%');
    await bucket.completeMultipart('a', uploadId, [{ part: 1, etag: '"<x>&"' }]);
    expect(requests[1]).toContain('POST /assets/a?uploadId=a%26b%2F%2B%25 ');
    expect(requests[1]).toContain('<Part><PartNumber>1</PartNumber><ETag>"&lt;x&gt;&amp;"</ETag></Part>');
  });
});
