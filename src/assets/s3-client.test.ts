import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import type { Bucket } from './bucket.ts';
import { createS3Bucket, type S3BucketOptions } from './s3-bucket.ts';
import { hash, makeBody, makeBytes, readAll, repeatChunk } from './testing/bodies.ts';
import { S3_VARIABLES } from './testing/s3-server.ts';

type Handle = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

const TYPE = { contentType: 'model/gltf-binary' };
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A server with the answers of a test. */
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
    secretAccessKey: 'a-secret-of-the-test',
    variables: S3_VARIABLES,
    ...changes,
  });
}

const printError = (code: string) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>a-secret-of-the-test</Message></Error>`;

const sendError =
  (status: number, code: string): Handle =>
  async (request, response) => {
    await buffer(request);
    response.writeHead(status).end(request.method === 'HEAD' ? '' : printError(code));
  };

async function put(bucket: Bucket, bytes: number): Promise<void> {
  await bucket.put('a/b', makeBody([makeBytes(bytes)]).stream, { bytes, ...TYPE });
}

describe('a request to S3', () => {
  it('streams a body with its length, its type and its digest, unsigned', async () => {
    const requests: { method?: string; url?: string; headers: Record<string, unknown>; bytes: number }[] = [];
    const bucket = await open(async ({ method = '', url = '', headers, ...request }, response) => {
      void request;
      response.end();
      requests.push({ method, url, headers, bytes: 0 });
    });
    const bytes = makeBytes(200_000);
    const sha256 = await hash(bytes);
    await bucket.put('a/b', makeBody([bytes.slice(0, 7), bytes.slice(7)]).stream, {
      bytes: 200_000,
      sha256,
      ...TYPE,
    });
    expect(requests).toHaveLength(1);
  });
});
