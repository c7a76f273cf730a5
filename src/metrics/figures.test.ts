import { expect, it } from 'vitest';
import { AppError } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { FAMILIES } from './families.ts';
import { FiguresReader } from './figures.ts';
import type { LogFigures } from './figures-stores.ts';

const LOG: LogFigures = {
  streams: 2,
  drained: 40,
  pending: { spaces: 1, operations: 5, entries: 1, bytes: 90, oldestMs: 12.5 },
  spaces: [],
  deployment: { streams: 7, pendingSpaces: 3, counts: new Map() },
};

function open({ hasRedis = true, counts = true, counted = {} as Record<string, number> } = {}) {
  const clock = { ms: Date.parse('2030-01-01T00:00:00.000Z') };
  const asked: string[] = [];
  const away = new Set<string>();
  const answer = async <T>(store: string, value: T): Promise<T> => {
    asked.push(store);
    if (away.has(store)) throw new AppError('store_unavailable', 'It is away.');
    return value;
  };
  const all = new Map(Object.entries(counted));
  const reader = new FiguresReader(
    {
      log: hasRedis
        ? {
            readFigures: (_, fields) =>
              answer(`redis ${fields.length > 0 ? 'with' : 'without'} counts`, {
                ...LOG,
                deployment: { ...LOG.deployment, counts: all },
              }),
          }
        : null,
      database: { countSpilled: () => answer('postgres', 4) },
      counters: hasRedis ? null : { read: () => answer('counters', all) },
    },
    { now: () => clock.ms, counts, storeMsMax: 1_000 },
  );
  const read = (tenantId = 't', showsDeployment = false) => reader.read(tenantId, { showsDeployment });
  return { read, asked, away, clock };
}

it('[P4] appended is drained and pending together', async () => {
  const { tenant, deployment, at, answered } = await open().read();
  expect(tenant).toEqual({
    ...{ appended: 45, drained: 40, spilled: 4, streams: 2, oldestPendingMs: 12.5 },
    ...{ pendingSpaces: 1, pendingOperations: 5, pendingEntries: 1, pendingBytes: 90 },
  });
  expect([deployment, at, answered]).toEqual([
    null,
    '2030-01-01T00:00:00.000Z',
    { database: true, cache: true },
  ]);
});

it('[P4c] an answer is repeated for a second, to the same tenant and the same rights', async () => {
  const { read, asked, clock } = open();
  const [first, again] = [await read(), await read()];
  expect(again).toBe(first);
  expect(asked).toHaveLength(2);
  await read('another');
  await read('t', true);
  expect(asked).toHaveLength(6);
  clock.ms += LIMITS.figuresCacheMs;
  expect((await read()).at).toBe('2030-01-01T00:00:01.000Z');
});

it('[P4a] a store that is away leaves its figures null', async () => {
  const { read, away, clock } = open();
  away.add('redis without counts');
  const withoutRedis = await read();
  expect(withoutRedis.answered).toEqual({ database: true, cache: false });
  expect([withoutRedis.tenant.appended, withoutRedis.tenant.spilled, withoutRedis.spaces]).toEqual([
    null,
    4,
    [],
  ]);
  away.clear();
  away.add('postgres');
  clock.ms += LIMITS.figuresCacheMs;
  const withoutPostgres = await read();
  expect(withoutPostgres.answered).toEqual({ database: false, cache: true });
  expect([withoutPostgres.tenant.appended, withoutPostgres.tenant.spilled]).toEqual([45, null]);
});

it('[P5] only the operator gets sums of the deployment, with cumulative buckets', async () => {
  const counted = {
    'worldkeep_operations_appended_total|queued': 10,
    'worldkeep_operations_appended_total|committed': 5,
    worldkeep_operations_drained_total: 12,
    'worldkeep_state_reads_total|hit': 9,
    'worldkeep_http_request_seconds|POST|/v1/spaces/:space/updates|0.005': 2,
    'worldkeep_http_request_seconds|POST|/v1/spaces/:space/updates|0.1': 3,
    'worldkeep_http_request_seconds|POST|/v1/spaces/:space/updates|Infinity': 1,
    'worldkeep_http_request_seconds|POST|/v1/spaces/:space/updates|sum': 12_250_000,
  };
  for (const hasRedis of [true, false]) {
    const { read, asked } = open({ hasRedis, counted });
    const { deployment } = await read('t', true);
    expect(asked.sort()).toEqual(hasRedis ? ['postgres', 'redis with counts'] : ['counters', 'postgres']);
    expect(deployment).toMatchObject({
      ...{ appended: 15, drained: 12, withoutEffect: 0, cacheHits: 9, cacheMisses: 0 },
      ...(hasRedis ? { streams: 7, pendingSpaces: 3 } : { streams: null, pendingSpaces: null }),
    });
    const append = deployment?.latency?.append;
    expect(append?.le).toBe(FAMILIES.worldkeep_http_request_seconds.buckets);
    expect(append?.counts).toEqual([2, 2, 2, 2, 5, 5, 5, 5, 5, 5, 5]);
    expect([append?.count, append?.sumSeconds]).toEqual([6, 12.25]);
    expect(deployment?.latency?.commit.count).toBe(0);
  }
});

it('[P5a] without a METRICS_TOKEN processes count nothing, so no counts are read', async () => {
  const { read, asked } = open({ counts: false });
  const { deployment } = await read('t', true);
  expect(deployment).toMatchObject({ streams: 7, appended: null, cacheHits: null, latency: null });
  expect(asked.sort()).toEqual(['postgres', 'redis without counts']);
});
