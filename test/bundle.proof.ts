import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildWorker } from './http/targets.ts';

/** The free plan takes 3 MiB after gzip. A Worker far below that starts fast. */
const GZIP_BYTES_MAX = 480 * 1024;

describe('the built Worker', () => {
  let built: Awaited<ReturnType<typeof buildWorker>>;
  let text: string;
  beforeAll(async () => {
    built = await buildWorker();
    text = await readFile(built.path, 'utf8');
  });
  afterAll(() => built?.remove());

  it('contains no code for Node', () => {
    const sources = [...text.matchAll(/^\/\/ (\S+\.[cm]?[jt]s)$/gm)].map(([, path = '']) => path);
    const packages = new Set(
      sources.map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean),
    );
    expect([...packages]).toEqual(
      expect.arrayContaining(['hono', 'drizzle-orm', '@neondatabase/serverless', '@upstash/redis']),
    );
    for (const name of ['pg', 'pg-pool', 'ioredis', '@hono/node-server'])
      expect([...packages]).not.toContain(name);
    const ours = sources.filter((path) => !path.includes('node_modules'));
    expect(ours).toEqual(expect.arrayContaining(['functions/compose-worker.ts', 'src/redis/upstash.ts']));
    expect(ours.filter((path) => /node|tcp|\/pg\.ts$|\/dev\/|\/test\/|\/cli\//.test(path))).toEqual([]);
  });

  it('stays small', () => {
    const bytes = gzipSync(text).length;
    console.log(
      `the Worker: ${(text.length / 1024).toFixed(0)} KiB, ${(bytes / 1024).toFixed(0)} KiB after gzip`,
    );
    expect(bytes).toBeLessThan(GZIP_BYTES_MAX);
  });
});
