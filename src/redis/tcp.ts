import { Redis, type RedisOptions } from 'ioredis';
import { readIpAddress } from '../helpers/ip-addresses.ts';
import type { RedisClient, RedisCommand, RedisReply } from './client.ts';
import { NotSent } from './not-sent.ts';
import { createClusterError, type RedisVariables } from './refusals.ts';
import { createRedisClient, type RedisOutcome } from './transport.ts';

export interface TcpOptions {
  host: string;
  port: number;
  username?: string | null | undefined;
  password?: string | null | undefined;
  database?: number | undefined;
  tls?: boolean | undefined;
  /** The names of the address and the password, for errors. */
  variables?: RedisVariables;
  /** Milliseconds after which a command, or a first connection, is given up. */
  timeoutMs: number;
}

const RECONNECT_FIRST_MS = 50;
const RECONNECT_MS_MAX = 1_000;
const UPSTASH_FLAG = 'allow-key-locking';

/**
 * Redis over TCP, for Node: any Redis or Valkey from version 7 serves. One connection, made immediately and made again
 * whenever it is lost; meanwhile commands are refused, not kept for later, and none is ever sent twice.
 */
export function openTcpRedis(options: TcpOptions): RedisClient {
  const redis = new Redis(readTcpOptions(options));
  const { variables = VARIABLES } = options;
  const fault = watchFault(redis);
  const connected = redis.connect().catch(() => undefined);

  const client = createRedisClient({
    variables,
    async send(commands) {
      await connected;
      if (redis.status !== 'ready') throw new NotSent(fault.error ?? new Error('There is no connection.'));
      // The client goes on in database 0 where the one asked for was refused.
      if (fault.error !== null) throw new NotSent(fault.error);
      // All written before the first is awaited: one round trip.
      const settled = await Promise.allSettled(commands.map((command) => call(redis, command)));
      return settled.map((each) => readOutcome(each, fault.error));
    },
    prepare: ({ source }) => dropUpstashFlag(source),
    async close() {
      redis.disconnect();
    },
  });
  return {
    ...client,
    get awaySinceMs() {
      return client.awaySinceMs;
    },
    async ping() {
      await client.ping();
      // A user who may not ask is told of a cluster by the first script.
      const info = await client.command('INFO', 'cluster').catch(() => null);
      if (typeof info === 'string' && info.includes('cluster_enabled:1'))
        throw createClusterError(variables.address);
    },
  };
}

const VARIABLES: RedisVariables = { address: 'REDIS_HOST', password: 'REDIS_PASSWORD' };

/**
 * Why the connection is not made. A command only says that there is none, and the client connects all the same where Redis
 * refused the number of the database.
 */
function watchFault(redis: Redis): { error: Error | null } {
  const fault: { error: Error | null } = { error: null };
  let ofThisAttempt: Error | null = null;
  redis.on('connect', () => {
    ofThisAttempt = null;
  });
  redis.on('error', (error) => {
    ofThisAttempt = error;
    fault.error = error;
  });
  redis.on('ready', () => {
    fault.error = ofThisAttempt;
  });
  return fault;
}

/** The options of a connection, for commands and for subscriptions. */
export function readTcpOptions({
  host,
  port,
  username,
  password,
  database,
  tls,
  timeoutMs,
}: TcpOptions): Omit<RedisOptions, 'replyMapping'> & {
  protocol: 2;
} {
  return {
    host,
    port,
    lazyConnect: true,
    protocol: 2,
    disableClientInfo: true,
    ...(username && { username }),
    ...(password && { password }),
    ...(database && { db: database }),
    // By the name, a server of several hosts knows which certificate to show. TLS takes no address for one.
    ...(tls && { tls: readIpAddress(host) === null ? { servername: host } : {} }),
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    // A peer that is gone without a word is found out by its silence.
    socketTimeout: 2 * timeoutMs,
    retryStrategy: (times) => Math.min(RECONNECT_FIRST_MS * times, RECONNECT_MS_MAX),
  };
}

/** The name goes in upper case: replies of the commands it knows by lower case are reshaped by the client. */
function call(redis: Redis, [name, ...args]: RedisCommand): Promise<RedisReply> {
  return redis.call(name.toUpperCase(), args) as Promise<RedisReply>;
}

/** @param fault why there is no connection, where that is known */
function readOutcome(settled: PromiseSettledResult<RedisReply>, fault: Error | null): RedisOutcome {
  if (settled.status === 'fulfilled') return { reply: settled.value };
  if (settled.reason instanceof Error && settled.reason.name === 'ReplyError')
    return { refusal: settled.reason.message };
  throw fault ?? settled.reason;
}

/**
 * Plain Redis refuses the flag, and needs none: it runs one script at a time anyway. The line itself stays: without one a
 * full memory would not stop a script before its first write.
 */
export function dropUpstashFlag(source: string): string {
  return source.replace(/^#!lua flags=(\S+)(?=\n)/, (_, list: string) => {
    const flags = list.split(',').filter((flag) => flag !== UPSTASH_FLAG);
    return flags.length === 0 ? '#!lua' : `#!lua flags=${flags.join(',')}`;
  });
}
