import type { BacklogLimits } from '../log/log-stores.ts';
import type { CounterStore, Gauge, GaugeStore } from '../metrics/metrics-stores.ts';
import { LIMITS } from '../world/limits.ts';
import type { RedisClient } from './client.ts';
import { COUNTS_KEY, countsTokenKey } from './keys.ts';
import { readCount, readList, readText } from './log-reply.ts';
import { type DeploymentBacklog, readDeploymentBacklog } from './log-stats.ts';
import { ADD_COUNTS } from './scripts.ts';

/** The counts of the deployment, in one hash. Each method is one command. */
export function createRedisCounters(redis: RedisClient): CounterStore {
  return {
    async add(token, counts) {
      const args = [...counts].flatMap(([field, n]) => [field, String(n)]);
      await redis.eval(
        ADD_COUNTS,
        [COUNTS_KEY, countsTokenKey(token)],
        [String(LIMITS.metricsTokenSeconds), ...args],
      );
    },
    async read() {
      const list = readList(await redis.command('HGETALL', COUNTS_KEY));
      const counts = new Map<string, number>();
      for (let i = 0; i < list.length; i += 2) counts.set(readText(list[i]), readCount(list[i + 1]));
      return counts;
    },
  };
}

/** The backlogs of all spaces, and the open streams. @param limits of the backlog of a space */
export function createRedisGauges(redis: RedisClient, limits: BacklogLimits): GaugeStore {
  return {
    readGauges: async () =>
      listGauges(await readDeploymentBacklog(redis, { limits, spacesMax: LIMITS.metricsSpacesMax })),
  };
}

function listGauges(backlog: DeploymentBacklog): Gauge[] {
  return [
    gauge('worldkeep_backlog_spaces', backlog.spaces),
    gauge('worldkeep_backlog_operations', backlog.operations),
    gauge('worldkeep_backlog_entries', backlog.entries),
    gauge('worldkeep_backlog_bytes', backlog.bytes),
    gauge('worldkeep_backlog_oldest_seconds', backlog.oldestSeconds),
    gauge('worldkeep_backlog_used_ratio', backlog.usedRatio),
    gauge('worldkeep_streams', backlog.streams),
  ];
}

function gauge(name: string, value: number): Gauge {
  return { name, labels: [], value };
}
