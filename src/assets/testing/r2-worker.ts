/** A Worker that runs the contract on R2, and stores bodies of requests. */
import { createHash } from 'node:crypto';
import type { Bucket } from '../bucket.ts';
import { createR2Bucket, type R2Binding } from '../r2-bucket.ts';
import { createS3Bucket, type S3BucketOptions } from '../s3-bucket.ts';
import { BUCKET_CASES, type BucketCase, LARGE_BUCKET_CASES } from './bucket-cases.ts';

interface Env {
  ASSETS_BUCKET: R2Binding;
}

interface Context {
  waitUntil(work: Promise<unknown>): void;
}

declare const FixedLengthStream: new (
  bytes: number,
) => { readable: ReadableStream<Uint8Array>; writable: WritableStream<Uint8Array> };

export default {
  async fetch(request: Request, env: Env, context: Context): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const key = searchParams.get('key') ?? '';
    const bucket = createR2Bucket(env.ASSETS_BUCKET, 'ASSETS_BUCKET');
    const routes: Record<string, () => Promise<unknown>> = {
      '/case': () => runCase(env.ASSETS_BUCKET, searchParams.get('name') ?? ''),
      '/s3-case': () => runS3Case(searchParams.get('name') ?? '', searchParams.get('options') ?? ''),
      '/put': () => putBody(bucket, key, request, Number(searchParams.get('bytes'))),
      '/refused': () =>
        putBody(createR2Bucket(refusePuts(env.ASSETS_BUCKET), 'ASSETS_BUCKET'), key, request, 9),
      '/head': () => bucket.head(key),
      '/delete-many': () => bucket.delete(listKeys(key, Number(searchParams.get('count')))),
    };
    const work = routes[pathname]?.() ?? Promise.reject(new Error(`There is no route ${pathname}.`));
    // Work continues after the client went away.
    context.waitUntil(work.catch(() => undefined));
    try {
      return Response.json({ result: (await work) ?? null });
    } catch (error) {
      return Response.json({ error: (error as { code?: unknown }).code ?? null, text: describe(error) });
    }
  },
};

async function runCase(r2: R2Binding, name: string): Promise<void> {
  const found = findCase(name);
  const { binding, received } =
    found.putBytes === undefined ? { binding: r2, received: () => 0 } : countPut(r2, found.putBytes);
  const reopen = () => createR2Bucket(binding, 'ASSETS_BUCKET');
  await found.run({ bucket: reopen(), reopen, received, sent: null });
}

/** @param options of an S3 bucket, as JSON */
async function runS3Case(name: string, options: string): Promise<void> {
  const createSha256 = () => createHash('sha256');
  const reopen = () => createS3Bucket({ ...(JSON.parse(options) as S3BucketOptions), createSha256 });
  await findCase(name).run({ bucket: reopen(), reopen, received: null, sent: null });
}

function findCase(name: string): BucketCase {
  const found = [...BUCKET_CASES, ...LARGE_BUCKET_CASES].find((bucketCase) => bucketCase.name === name);
  if (found === undefined) throw new Error(`There is no case “${name}”.`);
  return found;
}

function putBody(bucket: Bucket, key: string, request: Request, bytes: number): Promise<void> {
  const body: ReadableStream<Uint8Array> = request.body ?? new Blob([]).stream();
  return bucket.put(key, body, { bytes, contentType: 'model/gltf-binary' });
}

const listKeys = (folder: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${folder}/${i + 1}`);

/** R2's answer for a bucket that was deleted, before it read the body. The emulator has no such state. */
function refusePuts(r2: R2Binding): R2Binding {
  return wrapPut(r2, async (_, value) => {
    const error = new Error('put: The specified bucket does not exist. (10006)');
    await value.cancel(error);
    throw error;
  });
}

/** Counts the bytes that reach R2. */
function countPut(r2: R2Binding, bytes: number): { binding: R2Binding; received(): number } {
  let received = 0;
  const binding = wrapPut(r2, (key, value, options) => {
    const counter = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        received += chunk.byteLength;
        controller.enqueue(chunk);
      },
    });
    const { readable, writable } = new FixedLengthStream(bytes);
    const piped = value.pipeThrough(counter).pipeTo(writable);
    return Promise.all([r2.put(key, readable, options), piped]);
  });
  return { binding, received: () => received };
}

function wrapPut(r2: R2Binding, put: R2Binding['put']): R2Binding {
  return {
    put,
    get: (key, options) => r2.get(key, options),
    head: (key) => r2.head(key),
    delete: (keys) => r2.delete(keys),
    createMultipartUpload: (key, options) => r2.createMultipartUpload(key, options),
    resumeMultipartUpload: (key, uploadId) => r2.resumeMultipartUpload(key, uploadId),
  };
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
