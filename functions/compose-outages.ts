import type { Config } from '../src/config.ts';
import { pause } from '../src/helpers/time.ts';
import type { Drain } from '../src/log/drain.ts';
import type { DrainStore, LogStore } from '../src/log/log-stores.ts';
import { MemoryFallback } from '../src/log/memory-fallback.ts';
import type { SpaceLog } from '../src/log/space-log.ts';
import { Spill } from '../src/log/spill.ts';
import type { Counting } from '../src/metrics/metrics.ts';
import type { Postgres } from '../src/postgres/client.ts';
import { createSpillStore } from '../src/postgres/spill-store.ts';
import type { KnownLogs } from '../src/redis/known-logs.ts';
import { LIMITS } from '../src/world/limits.ts';
import type { Services } from './http/context.ts';
import { describeError } from './http/describe-error.ts';
import type { Log } from './http/log.ts';

const MEMORY_OUTCOMES = { memory_stored: 'stored', memory_refused: 'refused', memory_lost: 'lost' };

/** The requests that wait for Redis; null where there is none. */
export function openSpill(
  { limits }: Config,
  postgres: Postgres,
  drainStore: DrainStore,
  /** Milliseconds for which this process may go on after an answer. */
  returnMsMax: number,
  {
    spaceLog,
    logStore,
    drain,
    now,
    log,
    metrics,
  }: {
    spaceLog: SpaceLog | null;
    logStore: LogStore | null;
    drain: Drain | null;
    now: () => number;
    log: Log;
    metrics: Counting;
  },
): Spill | null {
  if (spaceLog === null || logStore === null || drain === null) return null;
  const spill = new Spill(createSpillStore(postgres), drainStore, {
    now,
    pause,
    idempotencyTtlSeconds: limits.idempotencyTtlSeconds,
    limits: { bytesMax: limits.backlogBytesMax, entriesMax: limits.backlogEntriesMax },
    returnMsMax,
    onEvent({ event, address, count, cause }) {
      if (event === 'spill_returned') metrics.add('worldkeep_spilled_requests_returned_total', {}, count);
      if (event === 'spill_buried') metrics.add('worldkeep_spilled_operations_buried_total', {}, count);
      log(event === 'spill_returned' ? 'info' : 'warn', event, {
        tenantId: address.tenantId,
        ...(count !== undefined && { count }),
        ...(cause !== undefined && { causes: describeError(cause) }),
      });
    },
  });
  spill.useLog(spaceLog, drain, logStore);
  return spill;
}

/** The memory for requests while both stores are away; null: they are refused. */
export function openMemory(
  { memoryFallbackEnabled }: Config,
  spill: Spill | null,
  known: KnownLogs | null,
  { now, log, metrics }: { now: () => number; log: Log; metrics: Counting },
): MemoryFallback | null {
  if (!memoryFallbackEnabled || spill === null || known === null) return null;
  const memory = new MemoryFallback(spill, {
    now,
    pause,
    limits: { bytesMax: LIMITS.memoryBytesMax, requestsMax: LIMITS.memoryRequestsMax },
    findIncarnation: (address) => known.findIncarnation(address),
    onEvent({ event, count, cause }) {
      metrics.add('worldkeep_memory_requests_total', { outcome: MEMORY_OUTCOMES[event] }, count);
      log(event === 'memory_stored' ? 'info' : 'error', event, {
        count,
        ...(cause !== undefined && { causes: describeError(cause) }),
      });
    },
  });
  spill.useMemory(memory);
  return memory;
}

/** Drains that first return the requests that wait for Redis. */
export function returnsSpilled(drain: Drain, spill: Spill): Services['drains'] {
  return {
    async drainSpace(address, budget) {
      // Requests that cannot return do not stop the drain.
      const failure = await spill.returnSpace(address).then(
        () => undefined,
        (error: unknown) => error,
      );
      const report = await drain.drainSpace(address, budget);
      if (failure !== undefined) throw failure;
      return report;
    },
    async sweep(budget) {
      // Requests that cannot return keep no space from being drained.
      const failure = await spill.returnAll().catch((error: unknown) => error);
      const report = await drain.sweep(budget);
      if (failure !== undefined) throw failure;
      return report;
    },
  };
}
