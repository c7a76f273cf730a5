import { resolve } from 'node:path';
import { build } from 'esbuild';
import { Log, LogLevel, Miniflare } from 'miniflare';
import type { S3Options } from '../s3-client.ts';
import type { BucketCase } from './bucket-cases.ts';

/** workerd on 127.0.0.1 with `r2-worker.ts` and an empty bucket. */
export interface R2Target {
  /** Rejects if the case fails. */
  runCase(bucketCase: BucketCase): Promise<void>;
  /** Runs a case on an S3 server, which workerd calls. */
  runS3Case(bucketCase: BucketCase, options: S3Options): Promise<void>;
  ask(path: string, init?: AskInit): Promise<R2Answer>;
  stop(): Promise<void>;
}

export interface AskInit {
  method: 'PUT' | 'POST';
  body?: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
}

export interface R2Answer {
  result?: unknown;
  /** The code of an AppError. */
  error?: unknown;
  text?: string;
}

export async function startR2Target(): Promise<R2Target> {
  const { outputFiles } = await build({
    entryPoints: [resolve(import.meta.dirname, 'r2-worker.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    external: ['node:*'],
  });
  const contents = outputFiles[0]?.text ?? '';
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    log: new Log(LogLevel.ERROR),
    workers: [
      {
        config: {
          name: 'r2',
          compatibilityDate: '2026-11-01',
          // Only for node:assert.
          compatibilityFlags: ['nodejs_compat'],
          manifest: { mainModule: 'worker.js', modules: { 'worker.js': { type: 'esm', contents } } },
          env: { ASSETS_BUCKET: { type: 'r2', name: 'assets' } },
        },
      },
    ],
  });
  const url = await miniflare.ready;
  const ask = async (path: string, init?: AskInit) => {
    // One connection for each request: workerd closes that of a request whose body it did not read.
    const headers = { Connection: 'close' };
    const response = await fetch(new URL(path, url), { ...init, headers, duplex: 'half' });
    return (await response.json()) as R2Answer;
  };
  const run = async (path: string, { name }: BucketCase, options: S3Options | null) => {
    const query = new URLSearchParams({ name, options: JSON.stringify(options) });
    const { text } = await ask(`${path}?${query}`, { method: 'POST' });
    if (text !== undefined) throw new Error(text);
  };
  return {
    ask,
    runCase: (bucketCase) => run('/case', bucketCase, null),
    runS3Case: (bucketCase, options) => run('/s3-case', bucketCase, options),
    stop: () => miniflare.dispose(),
  };
}
