import type { RedisClient } from './client.ts';
import { KnownLogs } from './known-logs.ts';

export interface LogOptions {
  /** A drain that says nothing for this long has ended: another takes over. */
  leaseMs: number;
  /** From an append to the drain that it begins, where nobody waits. */
  soonMs: number;
  /** From the end of a drain to the next, where nobody waits. Below `leaseMs`. */
  restMs: number;
  /** As of the `KnownLogs`. */
  shards: number;
  replayWindowMsMax: number;
  replayWindowEntriesMax: number;
  replayWindowBytesMax: number;
}

/** The context that all commands of the log share. */
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
