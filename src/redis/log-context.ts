import type { RedisClient } from './client.ts';
import { KnownLogs } from './known-logs.ts';

export interface LogOptions {
  /** For how long a drain that was elected, and does not say more, keeps others from being elected. */
  leaseMs: number;
  /** How long a drain that was elected lets more come, before it begins. */
  soonMs: number;
  /** How long a drain that nobody waits for lets more come, when it or another has been through all there was. Below `leaseMs`. */
  restMs: number;
  /** Operations of a batch from which no rest follows: the next will be worth it too. */
  restlessOperations: number;
  /** Operations in a backlog from which a drain begins at once. */
  atOnceOperations: number;
  /** As of the `KnownLogs`. */
  shards: number;
  replayWindowMsMax: number;
  replayWindowEntriesMax: number;
  replayWindowBytesMax: number;
}

/** What the log's commands have in common. */
export interface LogContext {
  redis: RedisClient;
  options: LogOptions;
  known: KnownLogs;
  createToken(): string;
}

export function createLogContext(
  redis: RedisClient,
  options: LogOptions,
  known = new KnownLogs(redis, { shards: options.shards }),
): LogContext {
  return { redis, options, known, createToken: () => crypto.randomUUID() };
}
