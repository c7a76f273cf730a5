import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { FAMILIES } from '../../../src/metrics/families.ts';
import { type Call, createCall, openSpace } from '../client.ts';
import type { FragileStores, Runtime } from '../runtimes.ts';
import type { Target } from '../targets.ts';

const TOKEN = 'a-token-for-metrics-only';

/** The samples of a text, by name and labels. @throws for a line that Prometheus could not read */
function readSamples(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  expect(text.endsWith('\n')).toBe(true);
  for (const line of text.trimEnd().split('\n')) {
    if (/^# (HELP|TYPE) worldkeep_\w+ \S/.test(line)) continue;
    const [, name = '', labels = '', value] =
      /^(worldkeep_\w+)(\{(?:\w+="[^"\\]*",?)+\})? (-?[\d.e+-]+)$/.exec(line) ?? [];
    if (value === undefined) throw new Error(`no sample: ${line}`);
    if (samples.has(name + labels)) throw new Error(`twice: ${line}`);
    samples.set(name + labels, Number(value));
  }
  return samples;
}

export function describeMetrics(runtime: Runtime, plain: () => Target): void {
  const { start, makeEnv, openOwnRedis, withoutRedis } = runtime;
  const startWithoutRedis = () =>
    start(
      makeEnv({
        ...withoutRedis,
        CACHE_ENABLED: 'false',
        BATCH_PROCESSING_ENABLED: 'false',
        METRICS_TOKEN: TOKEN,
      }),
    );

  describe('metrics', () => {
    it('[G1a] there are none without a METRICS_TOKEN', async () => {
      const { status, body } = await createCall(plain(), TOKEN)('GET', '/metrics');
      expect([status, body.code]).toEqual([404, 'not_found']);
    });

    it('[G1a] only the METRICS_TOKEN reads them, and another credential asks no store', async () => {
      const redis = await openOwnRedis();
      onTestFinished(() => redis.close());
      const target = await start(makeEnv({ ...redis.env, METRICS_TOKEN: TOKEN }));
      onTestFinished(() => target.stop());
      await scrape(target);
      const commands = await redis.listCommands(async () => {
        for (const credential of [null, `${TOKEN}x`, TOKEN.slice(1), `wk_someone_${'s'.repeat(43)}`]) {
          const { status, headers, body } = await createCall(target, credential)('GET', '/metrics');
          expect([status, body.code]).toEqual([401, 'unauthorized']);
          expect(headers.get('WWW-Authenticate')).toMatch(/^Bearer /);
        }
      });
      expect(commands).toEqual([]);
    });

    it('[G2c] without a Redis, there is no part of it', async () => {
      const target = await startWithoutRedis();
      onTestFinished(() => target.stop());
      const text = await scrape(target);
      expect(text).toContain('worldkeep_store_up{store="postgres"} 1');
      expect(text).toContain('worldkeep_operations_appended_total{durability="committed"}');
      expect(text).not.toMatch(/worldkeep_backlog|worldkeep_streams |store="redis"/);
    });

    // A Worker gets no signal to end.
    if (runtime.hasMemory)
      it('[G2b] [G2c] a server that ends adds its counts first, without a Redis to Postgres', async () => {
        const [first, second] = await Promise.all([startWithoutRedis(), startWithoutRedis()]);
        onTestFinished(() => second.stop());
        const name =
          'worldkeep_http_requests_total{method="GET",route="/v1/spaces/:space/statistics",status="401"}';
        const read = async () => readSamples(await scrape(second)).get(name) ?? 0;
        const before = await read();
        await first.fetch('/v1/spaces/s/statistics');
        await first.stop();
        await expect.poll(read).toBeGreaterThan(before);
      });
  });
}

/** The cases that wait for a flush, or for a store. */
export function describeMetricsElsewhere({ start, makeEnv, openOwnRedis, openFragileStores }: Runtime): void {
  describe('metrics of a deployment', () => {
    it('[G2] [G3] two processes count together: few commands for many requests, and nothing that a caller sent', async () => {
      const redis = await openOwnRedis();
      onTestFinished(() => redis.close());
      const makeOne = () => start(makeEnv({ ...redis.env, METRICS_TOKEN: TOKEN }));
      const [a, b] = await Promise.all([makeOne(), makeOne()]);
      onTestFinished(async () => {
        await Promise.all([a.stop(), b.stop()]);
      });
      const door = await openSpace(a);
      const ops = ['x', 'y', 'z'].map((id) => ({ op: 'put', id }));
      await door.call('POST', `${door.at}/updates`, { json: { ops }, headers: { Prefer: 'wait' } });
      await door.call('GET', `${door.at}/state`);
      await b.fetch('/invented-by-a-caller?access_token=hunter2');
      await b.fetch('/livez', { method: 'DELETE' });
      for (let i = 0; i < 50; i++)
        await Promise.all([a, b].map(async (target) => (await target.fetch('/livez')).text()));
      const samples = new Map<string, number>();
      const read = async () => {
        for (const [name, value] of readSamples(await scrape(a))) samples.set(name, value);
        return samples;
      };
      const livez = 'worldkeep_http_requests_total{method="GET",route="/livez",status="200"}';
      const drained = 'worldkeep_operations_drained_total';
      await expect.poll(async () => [(await read()).get(livez), samples.get(drained)]).toEqual([100, 3]);
      // Each flush leaves one key.
      expect((await redis.client.keys('wk:{metrics}:flush:*')).length).toBeLessThanOrEqual(4);
      const [ofA, ofB] = await Promise.all([a, b].map(scrape));
      expect([...readSamples(ofB ?? '').keys()]).toEqual([...readSamples(ofA ?? '').keys()]);
      expect(ofA).not.toMatch(/invented|hunter2|spaces.here|key_/);
      expect(ofA).not.toContain(TOKEN);
      expect(ofA).not.toContain(door.tenantId);
      const route = '/v1/spaces/:space/updates';
      expect(Object.fromEntries(samples)).toMatchObject({
        [`worldkeep_http_requests_total{method="POST",route="${route}",status="200"}`]: 1,
        [`worldkeep_http_request_seconds_count{method="POST",route="${route}"}`]: 1,
        [`worldkeep_http_request_seconds_bucket{method="POST",route="${route}",le="+Inf"}`]: 1,
        'worldkeep_http_requests_total{method="GET",route="unknown",status="404"}': 1,
        'worldkeep_operations_appended_total{durability="committed"}': 3,
        'worldkeep_operations_appended_total{durability="spilled"}': 0,
        'worldkeep_state_reads_total{result="miss"}': 1,
        worldkeep_durability_lag_seconds_count: samples.get('worldkeep_drain_batches_total'),
        worldkeep_dead_letters_total: 0,
        worldkeep_backlog_operations: 0,
        worldkeep_backlog_used_ratio: 0,
        worldkeep_streams: 0,
        'worldkeep_store_up{store="postgres"}': 1,
        'worldkeep_store_up{store="redis"}': 1,
      });
      for (const name of samples.keys()) {
        const family = name.replace(/\{.*/, '').replace(/(_seconds)_(bucket|sum|count)$/, '$1');
        expect(FAMILIES).toHaveProperty(family);
      }
    });

    describe('[G5] while a store is away', () => {
      let stores: FragileStores;
      let target: Target;
      let call: Call;
      beforeAll(async () => {
        stores = await openFragileStores();
        target = await start(
          makeEnv({ ...stores.env, METRICS_TOKEN: TOKEN, DATABASE_TIMEOUT_MS: '2000', LOG_LEVEL: 'silent' }),
        );
        call = createCall(target, TOKEN);
      });
      afterAll(async () => {
        await target?.stop();
        await stores?.close();
      });

      it.each([
        ['redis', 'refuse', /worldkeep_backlog|worldkeep_streams |_total/, /worldkeep_asset_bytes \d/],
        ['postgres', 'hang', /worldkeep_asset_bytes|worldkeep_dead_letters /, /worldkeep_backlog_spaces \d/],
      ] as const)('%s (%s), its part is left out', async (name, fault, absent, present) => {
        const answered = async () => (await call('GET', '/metrics')).text;
        stores[name].inject(fault);
        // An answer from before the outage is repeated for a moment.
        await expect.poll(answered).toContain(`worldkeep_store_up{store="${name}"} 0`);
        const text = await answered();
        expect(text).not.toMatch(absent);
        expect(text).toMatch(present);
        stores[name].clear();
        await expect.poll(answered).toContain(`worldkeep_store_up{store="${name}"} 1`);
      });
    });
  });
}

async function scrape(target: Target): Promise<string> {
  const { status, headers, text } = await createCall(target, TOKEN)('GET', '/metrics');
  expect([status, headers.get('Content-Type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
  expect(headers.get('Cache-Control')).toBe('no-store');
  return text;
}
