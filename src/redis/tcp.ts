import { Redis, type RedisOptions } from 'ioredis';
import type { RedisClient, RedisCommand, RedisReply } from './client.ts';
import { createRedisClient, type RedisOutcome } from './transport.ts';

export interface TcpOptions {
  host: string;
  port: number;
  password?: string | null | undefined;
  /** Milliseconds after which a command, or a first connection, is given up. */
  timeoutMs: number;
}

const RECONNECT_FIRST_MS = 50;
const RECONNECT_MS_MAX = 1_000;
const UPSTASH_FLAG = 'allow-key-locking';

/**
 * Redis over TCP, for Node: any Redis or Valkey from version 7 serves. One connection, made at once and made again
 * whenever it is lost; meanwhile commands are refused, not kept for later, and none is ever sent twice.
 */
export function openTcpRedis(options: TcpOptions): RedisClient {
  const redis = new Redis(readTcpOptions(options));
  // Each command's own rejection says it; without a listener it would be printed.
  redis.on('error', () => undefined);
  const connected = redis.connect().catch(() => undefined);

  return createRedisClient({
    async send(commands) {
      await connected;
      // All written before the first is awaited: one round trip.
      const settled = await Promise.allSettled(commands.map((command) => call(redis, command)));
      return settled.map(readOutcome);
    },
    prepare: ({ source }) => dropUpstashFlag(source),
    async close() {
      redis.disconnect();
    },
  });
}

/** How a connection is made, here and for what is published. */
export function readTcpOptions({ host, port, password, timeoutMs }: TcpOptions): Omit<
  RedisOptions,
  'replyMapping'
> & {
  protocol: 2;
} {
  return {
    ...{ host, port, lazyConnect: true, protocol: 2, disableClientInfo: true },
    ...(password && { password }),
    ...{ enableOfflineQueue: false, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 },
    ...{ connectTimeout: timeoutMs, commandTimeout: timeoutMs },
    // A peer that is gone without a word is found out by its silence.
    socketTimeout: 2 * timeoutMs,
    retryStrategy: (times) => Math.min(RECONNECT_FIRST_MS * times, RECONNECT_MS_MAX),
  };
}

/** The name goes in upper case: replies of the commands it knows by lower case are reshaped by the client. */
function call(redis: Redis, [name, ...args]: RedisCommand): Promise<RedisReply> {
  return redis.call(name.toUpperCase(), args) as Promise<RedisReply>;
}

function readOutcome(settled: PromiseSettledResult<RedisReply>): RedisOutcome {
  if (settled.status === 'fulfilled') return { reply: settled.value };
  if (settled.reason instanceof Error && settled.reason.name === 'ReplyError')
    return { refusal: settled.reason.message };
  throw settled.reason;
}

/**
 * Plain Redis refuses the flag, and needs none: it runs one script at a time anyway. The line itself stays: without one a
 * full memory would not stop a script before its first write.
 */
function dropUpstashFlag(source: string): string {
  return source.replace(/^#!lua flags=(\S+)(?=\n)/, (_, list: string) => {
    const flags = list.split(',').filter((flag) => flag !== UPSTASH_FLAG);
    return flags.length === 0 ? '#!lua' : `#!lua flags=${flags.join(',')}`;
  });
}
