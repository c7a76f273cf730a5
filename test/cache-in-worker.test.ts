import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeEnv, startWorkerd, type Target } from './http/targets.ts';
import { uniqueName } from './support.ts';

/** A Worker that caches a world of a given size, and reads it again. */
const WORKER = `
import { CacheManager } from './src/cache-manager.ts';
import { createCacheStore } from './src/redis/cache.ts';
import { openUpstash } from './src/redis/upstash.ts';

export default {
  async fetch(request, env) {
    const { tenantId, count } = await request.json();
    const redis = openUpstash({ url: env.UPSTASH_REDIS_REST_URL, token: env.UPSTASH_REDIS_REST_TOKEN, timeoutMs: 10_000 });
    const cache = new CacheManager(createCacheStore(redis), { tenantId });
    const state = { objects: Array.from({ length: count }, (_, i) => ({ id: 'o-' + i, position: { x: i / 3 } })) };
    const kept = await cache.cacheWorldState('main', state);
    const read = await cache.getCachedWorldState('main');
    return Response.json({ kept, same: JSON.stringify(read) === JSON.stringify(state) });
  },
};`;

let dir: string;
let worker: Target;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'worldkeep-cache-'));
  const outfile = join(dir, 'worker.js');
  await build({
    stdin: { contents: WORKER, resolveDir: resolve(import.meta.dirname, '..'), loader: 'js' },
    outfile,
    bundle: true,
    format: 'esm',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['node:*'],
    logLevel: 'error',
  });
  worker = await startWorkerd(outfile, makeEnv());
});
afterAll(async () => {
  await worker?.stop();
  await rm(dir, { recursive: true, force: true });
});

it('CacheManager keeps a world state in a Worker in workerd', async () => {
  const body = JSON.stringify({ tenantId: uniqueName('worker'), count: 20_000 });
  const answer = await worker.fetch('/', { method: 'POST', body });
  expect(await answer.json()).toEqual({ kept: true, same: true });
});
