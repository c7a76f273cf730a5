import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeEnv, startWorkerd, type Target } from './http/targets.ts';
import { openLayer, openTestPg } from './layers.ts';
import { uniqueName } from './support.ts';

/** A Worker whose request collects updates. It has all parts of the functions except HTTP. */
const WORKER = `
import { uuidv7 } from 'uuidv7';
import { composeWorker } from './functions/compose-worker.ts';
import { BatchProcessor } from './src/batch-processor.ts';

export default {
  async fetch(request, env, context) {
    const { tenantId, count, faulty, ends } = await request.json();
    const { persistence } = composeWorker(env);
    const layer = persistence.forTenant(tenantId, null, { defer: (work) => context.waitUntil(work) });
    const sink = {
      forTenant: (tenant, actor, options) =>
        layer.forTenant(tenant, actor, { ...options, defer: (work) => context.waitUntil(work) }),
    };
    const batch = new BatchProcessor(sink, { tenantId, spaceId: 'main', makeKey: uuidv7 });
    const added = Array.from({ length: count }, (_, i) =>
      batch.add('objectSaves', { objectId: 'o-' + i, name: 'n-' + i, updatedBy: 'user-' + (i % 3) }),
    );
    for (let i = 0; i < faulty; i++) batch.add('objectUpdates', { objectId: 'a/b' });
    const queued = batch.getStats().queued;
    if (ends === 'flushAll') await batch.flushAll();
    if (ends === 'shutdown') await batch.shutdown();
    const outcomes = await Promise.allSettled(added);
    return Response.json({ queued, stats: batch.getStats(), outcomes });
  },
};`;

describe('BatchProcessor, in a request of a Worker in workerd', () => {
  let dir: string;
  let worker: Target;
  const postgres = openTestPg();
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'worldkeep-batch-'));
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
    await postgres.close();
    await rm(dir, { recursive: true, force: true });
  });

  async function run(input: { count: number; faulty?: number; ends: 'flushAll' | 'shutdown' | 'itself' }) {
    const tenantId = uniqueName('worker');
    const layer = openLayer(postgres, { tenantId, spaceId: 'main' });
    await layer.connect();
    const body = JSON.stringify({ tenantId, faulty: 0, ...input });
    const answer = (await (await worker.fetch('/', { method: 'POST', body })).json()) as {
      queued: number;
      stats: Record<string, number>;
      outcomes: PromiseSettledResult<{ seq: number; durability: string }>[];
    };
    return { layer, ...answer };
  }

  it.each(['flushAll', 'shutdown', 'itself'] as const)(
    'appends the updates that were added, ended by %s',
    async (ends) => {
      const { layer, stats, outcomes } = await run({ count: 250, ends });
      // At most 9: two batches of a hundred and one with the rest, each for three authors.
      expect(stats).toMatchObject({ processed: 250, queued: 0, failed: 0 });
      expect(stats.batches).toBeLessThanOrEqual(9);
      expect(outcomes.every((outcome) => outcome.status === 'fulfilled')).toBe(true);
      // The drain continues after the answer.
      await expect.poll(async () => (await layer.countTenant()).objects).toBe(250);
      const object = await layer.getObject('o-7');
      expect(object).toMatchObject({ name: 'n-7', createdBy: 'user-1' });
    },
  );

  it('rejects invalid updates only', async () => {
    const { stats } = await run({ count: 3, faulty: 2, ends: 'flushAll' });
    expect(stats).toMatchObject({ processed: 3, failed: 2, queued: 0 });
  });
});
