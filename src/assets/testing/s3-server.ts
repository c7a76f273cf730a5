import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Log, LogLevel, Miniflare } from 'miniflare';
import { createS3Bucket, type S3BucketOptions } from '../s3-bucket.ts';
import type { S3Options } from '../s3-client.ts';
import type { OpenedBucket } from './bucket-cases.ts';

/** An S3 server on 127.0.0.1 with one bucket. */
export interface S3Server {
  endpoint: string;
  bucket: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Bytes that it received, headers included. */
  received(): number;
  /** Bytes that it sent, headers included. */
  sent(): number;
  stop(): Promise<void>;
}

const BUCKET = 'assets';
const KEYS = { accessKeyId: 'AKIATEST', secretAccessKey: 'a-secret-of-the-test' };
/** Miniflare serves S3 there, for its local R2 buckets. */
const S3_PATH = '/cdn-cgi/local/r2/s3';

/** Starts Miniflare's S3 server. It verifies signatures. It ignores checksums, as some S3 servers do. */
export async function startS3Server(): Promise<S3Server> {
  const contents = 'export default { fetch: () => new Response(null, { status: 404 }) }';
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    log: new Log(LogLevel.ERROR),
    workers: [
      {
        config: {
          name: 's3',
          compatibilityDate: '2026-11-01',
          manifest: { mainModule: 'worker.js', modules: { 'worker.js': { type: 'esm', contents } } },
          env: { BUCKET: { type: 'r2', name: BUCKET, dev: { experimentalS3Credentials: KEYS } } },
        },
      },
    ],
  });
  const url = await miniflare.ready;
  const proxy = await startCountingProxy(Number(url.port));
  return {
    endpoint: `http://127.0.0.1:${proxy.port}${S3_PATH}`,
    bucket: BUCKET,
    ...KEYS,
    received: proxy.received,
    sent: proxy.sent,
    async stop() {
      await proxy.close();
      await miniflare.dispose();
    },
  };
}

export const S3_VARIABLES = {
  endpoint: 'S3_ENDPOINT',
  bucket: 'S3_BUCKET',
  region: 'S3_REGION',
  accessKeyId: 'S3_ACCESS_KEY_ID',
  secretAccessKey: 'S3_SECRET_ACCESS_KEY',
};

export function listOptions({ endpoint, bucket, accessKeyId, secretAccessKey }: S3Server): S3Options {
  return { endpoint, bucket, accessKeyId, secretAccessKey, variables: S3_VARIABLES };
}

/** The adapter in front of the server. */
export function openS3Bucket(server: S3Server, changes: Partial<S3BucketOptions> = {}): OpenedBucket {
  const { received, sent } = server;
  const reopen = () =>
    createS3Bucket({
      ...listOptions(server),
      createSha256: () => createHash('sha256'),
      ...changes,
    });
  return { bucket: reopen(), reopen, received, sent };
}

/** A TCP proxy that counts bytes, and passes on backpressure. */
async function startCountingProxy(targetPort: number) {
  let received = 0;
  let sent = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const target = connect(targetPort, '127.0.0.1');
    client.on('data', (chunk) => {
      received += chunk.byteLength;
    });
    target.on('data', (chunk) => {
      sent += chunk.byteLength;
    });
    client.pipe(target).pipe(client);
    for (const socket of [client, target]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        target.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    received: () => received,
    sent: () => sent,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}
