import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { type NodeTarget, startNode } from './http/node-target.ts';
import { OVER_TCP } from './http/runtimes.ts';
import { compareLedger } from './load/compare-ledger.ts';
import { type Clients, countOutcomes, SteadyLoad } from './load/steady-load.ts';
import { makeTenant } from './tenants.ts';

const FLAGS = ['BATCH_PROCESSING_ENABLED', 'CACHE_ENABLED', 'MEMORY_FALLBACK_ENABLED'] as const;
/** Milliseconds of load between two restarts. */
const PHASE_MS = 2_500;
const SETTLE_MS_MAX = 20_000;
/** Every writer repeats a write under its key until it is acknowledged. */
const CLIENTS: Clients = { write: 0, keyed: 12, wait: 4, read: 3, poll: 1 };

it('[F6g] flags change under load: each acknowledged write is there once', async () => {
  const spaceId = 'here';
  const tenant = await makeTenant();
  const apiKey = await tenant.apiKey(['read', 'write', 'admin']);
  const start = (changes: Record<string, string>) =>
    startNode(
      OVER_TCP.makeEnv({
        ...Object.fromEntries(FLAGS.map((flag) => [flag, 'true'])),
        RATE_LIMIT_REQUESTS_PER_MINUTE: '0',
        ...changes,
      }),
    );
  let target: NodeTarget = await start({});
  const send = (path: string, init: RequestInit) =>
    target.fetch(path, { ...init, headers: { Authorization: `Bearer ${apiKey}`, ...init.headers } });
  const json = { 'Content-Type': 'application/json' };
  const body = JSON.stringify({ name: 'Here' });
  expect((await send(`/v1/spaces/${spaceId}`, { method: 'PUT', body, headers: json })).status).toBe(201);
  const load = new SteadyLoad(send, spaceId, CLIENTS);
  try {
    await delay(PHASE_MS);
    for (const flag of FLAGS)
      for (const value of ['false', 'true']) {
        // A server that is killed leaves its clients without an answer.
        if (value === 'false') target.kill('SIGKILL');
        else target.kill('SIGTERM');
        await target.exited;
        target = await start({ [flag]: value });
        const beganMs = performance.now();
        const before = load.acknowledged.length;
        await delay(PHASE_MS);
        const count = () => load.acknowledged.length - before;
        await expect.poll(count, { timeout: SETTLE_MS_MAX }).toBeGreaterThan(20);
        const answers = load.between(beganMs, performance.now());
        console.log(`${flag}=${value}: ${countOutcomes(answers)}; ${count()} acknowledged`);
        // Without batches, a write is answered after its commit. A repeat of a queued write is still queued.
        const isUnbatched = flag === 'BATCH_PROCESSING_ENABLED' && value === 'false';
        const countOf = (wanted: string) => answers.filter(({ outcome }) => outcome === wanted).length;
        expect(countOf('200 committed') > countOf('202 queued')).toBe(isUnbatched);
      }
    await load.stop();
    const place = { tenantId: tenant.tenantId, spaceId, settleMsMax: SETTLE_MS_MAX };
    const differences = await compareLedger(load.acknowledged, place);
    console.log(
      `${load.acknowledged.length} acknowledged, lost ${differences.lost.length}, twice ${differences.doubled.length}`,
    );
    expect(differences).toEqual({ lost: [], doubled: [] });
    expect(load.missing).toEqual([]);
  } finally {
    await load.stop();
    await target.stop();
  }
});
