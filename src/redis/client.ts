/** A reply of Redis: text as UTF-8, whole numbers, nil as null, lists. Nothing is parsed on the way. */
export type RedisReply = string | number | null | RedisReply[];

/** A command's name and its arguments, as Redis takes them. */
export type RedisCommand = readonly [name: string, ...args: string[]];

/** A Lua script. It may begin with `#!lua flags=allow-key-locking`: Upstash uses it, and plain Redis never sees it. */
export interface RedisScript {
  readonly source: string;
}

/**
 * A way to Redis: everything else here is built on these few verbs, and serves over both.
 * - Commands go as written and text comes back as text: an id `"123"` stays one.
 * - Nothing is sent twice. A command whose answer was lost rejects, and may have been run.
 * - Every error is an AppError. `store_unavailable`: Redis did not answer or will not serve now. `internal`: Redis answered that the
 *   command or the script is wrong. The client's message holds the command, so it is nowhere in the error.
 */
export interface RedisClient {
  command(name: string, ...args: string[]): Promise<RedisReply>;
  /** The replies, each in its place, after one round trip. Not atomic. Rejects if any of them is an error. */
  pipeline(commands: readonly RedisCommand[]): Promise<RedisReply[]>;
  /** Runs a script by its SHA-1, and by its source where Redis does not know it yet. */
  eval(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<RedisReply>;
  /** Resolves when Redis answers as Redis. */
  ping(): Promise<void>;
  /** Milliseconds since 1970 at which commands began to be refused because Redis is away; null: they are not. */
  readonly awaySinceMs: number | null;
  close(): Promise<void>;
}
