import { createR2Bucket, type R2Binding } from '../src/assets/r2-bucket.ts';
import { type Env, isLoopback, misconfigured, type RedisConfig } from '../src/config.ts';
import { openNeon } from '../src/postgres/neon.ts';
import { openUpstash } from '../src/redis/upstash.ts';
import { openUpstashLive } from '../src/redis/upstash-live.ts';
import { type Composition, compose } from './compose.ts';
import type { FetchAsset } from './http/static-files.ts';

/** The name of the R2 binding in wrangler.toml. */
export const ASSETS_BINDING = 'ASSETS_BUCKET';
/**
 * The name of the binding of dist/assets in wrangler.toml. It is not the usual ASSETS: a Worker that mounts this API may have files of
 * its own under that name.
 */
export const FILES_BINDING = 'PAGE_FILES';

/**
 * The functions where no connection outlives a request: both stores over HTTP.
 * @param bucket the R2 binding; undefined without one
 * @param files the binding of dist/assets; undefined without one
 * @throws misconfigured
 */
export function composeWorker(env: Env, bucket?: unknown, files?: unknown): Composition {
  return compose(env, {
    openPostgres({ url, httpUrl, timeoutMs, readHeaders, readCaller }) {
      if (httpUrl === null && isLoopback(new URL(url).hostname))
        throw misconfigured(
          'DATABASE_URL',
          'is a local address, but these functions can connect only over HTTP. Set DATABASE_HTTP_URL to the database’s HTTP address.',
        );
      const fetchEndpoint = httpUrl ?? undefined;
      return openNeon({ databaseUrl: url, fetchEndpoint, timeoutMs, readHeaders, readCaller });
    },
    openRedis: (redis) => openUpstash(requireUpstash(redis)),
    openLive: (redis) => openUpstashLive(requireUpstash(redis)),
    openBucket: () => (bucket === undefined ? null : createR2Bucket(bucket as R2Binding, ASSETS_BINDING)),
    createHash() {
      // Of the runtime: it takes a third of the time of a hash in JavaScript.
      const stream = new (crypto as unknown as WorkersCrypto).DigestStream('SHA-256');
      const writer = stream.getWriter();
      return {
        update: (chunk) => writer.write(chunk),
        async digest() {
          await writer.close();
          return new Uint8Array(await stream.digest);
        },
      };
    },
    // Each ends with its request, and nothing of it may outlive that.
    endsStreams: false,
    // Cloudflare sets it over whatever a caller sends.
    readAddress: (c) => c.req.header('CF-Connecting-IP') ?? null,
    cut: () => undefined,
    fetchAsset: files === undefined ? null : (request) => (files as { fetch: FetchAsset }).fetch(request),
  });
}

interface WorkersCrypto {
  DigestStream: new (algorithm: string) => WritableStream<Uint8Array> & { digest: Promise<ArrayBuffer> };
}

/** @throws misconfigured for a Redis that speaks no HTTP. */
function requireUpstash<Redis extends RedisConfig>(redis: Redis): Redis & { kind: 'upstash' } {
  if (redis.kind === 'upstash') return redis as Redis & { kind: 'upstash' };
  throw misconfigured(
    redis.variables.address,
    'does not work here because these functions use only HTTP. Set UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN instead.',
  );
}
