import { createHash } from 'node:crypto';
import { openFolderBucket } from '../src/assets/folder-bucket.ts';
import { createS3Bucket } from '../src/assets/s3-bucket.ts';
import { readTrustedProxies } from '../src/config/proxies.ts';
import type { Env } from '../src/config.ts';
import { openNeon } from '../src/postgres/neon.ts';
import { openPg } from '../src/postgres/pg.ts';
import { openTcpRedis } from '../src/redis/tcp.ts';
import { openTcpLive } from '../src/redis/tcp-live.ts';
import { openUpstash } from '../src/redis/upstash.ts';
import { openUpstashLive } from '../src/redis/upstash-live.ts';
import { type Composition, compose } from './compose.ts';
import { readClientAddress } from './http/client-address.ts';
import type { FetchAsset } from './http/static-files.ts';
import type { NodeBindings } from './node-server.ts';

const S3_VARIABLES = {
  endpoint: 'ASSET_S3_ENDPOINT',
  bucket: 'ASSET_S3_BUCKET',
  region: 'ASSET_S3_REGION',
  accessKeyId: 'ASSET_S3_ACCESS_KEY_ID',
  secretAccessKey: 'ASSET_S3_SECRET_ACCESS_KEY',
};

/**
 * The functions on a server. Postgres: over TCP, or over HTTP with DATABASE_HTTP_URL. Redis: over TCP at REDIS_URL or REDIS_HOST, or
 * over HTTP at UPSTASH_REDIS_REST_URL. @throws misconfigured
 * @param fetchAsset null without the files of the pages
 */
export function composeNode(env: Env, fetchAsset: FetchAsset | null = null): Composition {
  const trustedProxies = readTrustedProxies(env);
  return compose(env, {
    openPostgres: ({ url, httpUrl, poolSize, timeoutMs, readHeaders, readCaller }) =>
      httpUrl === null
        ? openPg({ databaseUrl: url, poolSizeMax: poolSize, timeoutMs, readCaller })
        : openNeon({ databaseUrl: url, fetchEndpoint: httpUrl, timeoutMs, readHeaders, readCaller }),
    openRedis: (redis) => (redis.kind === 'tcp' ? openTcpRedis(redis) : openUpstash(redis)),
    openLive: (redis) => (redis.kind === 'tcp' ? openTcpLive(redis) : openUpstashLive(redis)),
    openBucket(bucket) {
      if (bucket === null) return null;
      if (bucket.kind === 'folder') return openFolderBucket(bucket.dir, 'ASSET_DIR');
      return createS3Bucket({ ...bucket, variables: S3_VARIABLES, createSha256: () => createHash('sha256') });
    },
    createHash() {
      const hash = createHash('sha256');
      return { update: (chunk) => void hash.update(chunk), digest: async () => hash.digest() };
    },
    endsStreams: true,
    readAddress: (c) =>
      readClientAddress(
        (c.env as NodeBindings).remoteAddress,
        (header) => c.req.header(header),
        trustedProxies,
      ),
    cut: (c) => (c.env as NodeBindings).cut(),
    fetchAsset,
  });
}
