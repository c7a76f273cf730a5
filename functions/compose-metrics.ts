import { tryGetContext } from 'hono/context-storage';
import type { Config } from '../src/config.ts';
import { startTimer } from '../src/helpers/time.ts';
import type { DrainedBatch } from '../src/log/drain.ts';
import { FiguresReader } from '../src/metrics/figures.ts';
import { type Counting, Metrics, NO_METRICS } from '../src/metrics/metrics.ts';
import { MetricsReader } from '../src/metrics/metrics-reader.ts';
import type { Postgres } from '../src/postgres/client.ts';
import {
  createPostgresCounters,
  createPostgresGauges,
  createSpilledStore,
} from '../src/postgres/metrics-store.ts';
import type { RedisClient } from '../src/redis/client.ts';
import { createFiguresStore } from '../src/redis/figures.ts';
import { createRedisCounters, createRedisGauges } from '../src/redis/metrics.ts';
import { isAway } from '../src/world/errors.ts';
import type { AppEnv } from './http/context.ts';
import { deferBy } from './http/defer.ts';
import { describeError } from './http/describe-error.ts';
import type { Log } from './http/log.ts';

/** The counts of this process and of the deployment. Without a METRICS_TOKEN nobody can read them, and nothing is counted. */
export function openMetrics(
  { metricsToken, limits }: Config,
  {
    postgres,
    redis,
    now,
    log,
    defer,
  }: {
    postgres: Postgres;
    redis: RedisClient | null;
    now: () => number;
    log: Log;
    defer: (work: Promise<unknown>) => void;
  },
): { metrics: Counting; read: (() => Promise<string>) | null; end(): Promise<void> } {
  if (metricsToken === null) return { metrics: NO_METRICS, read: null, end: async () => undefined };
  const counters = redis === null ? createPostgresCounters(postgres) : createRedisCounters(redis);
  const metrics = new Metrics(counters, {
    now,
    after: startTimer,
    defer: (work) => deferBy(tryGetContext<AppEnv>() ?? null, defer, work),
    createToken: () => crypto.randomUUID(),
    onFailure(cause) {
      // An outage has its own lines.
      if (!isAway(cause)) log('warn', 'metrics_not_added', { causes: describeError(cause) });
    },
  });
  const backlog = {
    bytesMax: limits.backlogBytesMax,
    entriesMax: limits.backlogEntriesMax,
    ageMsMax: limits.backlogAgeSecondsMax * 1_000,
  };
  const reader = new MetricsReader(
    {
      counters,
      gauges: {
        postgres: createPostgresGauges(postgres),
        ...(redis !== null && { redis: createRedisGauges(redis, backlog) }),
      },
    },
    { now },
  );
  return { metrics, read: () => reader.read(), end: () => metrics.end() };
}

/** The figures for the operations page. */
export function openFigures(
  { metricsToken, limits }: Config,
  { postgres, redis, now }: { postgres: Postgres; redis: RedisClient | null; now: () => number },
): FiguresReader {
  return new FiguresReader(
    {
      log: redis && createFiguresStore(redis),
      database: createSpilledStore(postgres),
      counters: redis === null ? createPostgresCounters(postgres) : null,
    },
    { now, counts: metricsToken !== null, storeMsMax: limits.readyzTimeoutMs },
  );
}

/** Counts a batch that a drain has committed. */
export function countBatch(
  metrics: Counting,
  { operations, noEffects, durationMs, lagMs }: DrainedBatch,
): void {
  metrics.add('worldkeep_operations_drained_total', {}, operations);
  metrics.add('worldkeep_operations_without_effect_total', {}, noEffects);
  metrics.add('worldkeep_drain_batches_total', {});
  metrics.observe('worldkeep_drain_batch_seconds', {}, durationMs / 1_000);
  metrics.observe('worldkeep_durability_lag_seconds', {}, lagMs / 1_000);
}
