import { afterAll, beforeAll } from 'vitest';
import type { ChangesStore } from '../src/live/live-stores.ts';
import type {
  AppendOutcome,
  AppendRequest,
  FindCursor,
  LogAddress,
  LogStore,
  OpenedLog,
} from '../src/log/log-stores.ts';
import type { RedisClient } from '../src/redis/client.ts';
import { KnownLogs } from '../src/redis/known-logs.ts';
import { createLogStore } from '../src/redis/log.ts';
import type { LogOptions } from '../src/redis/log-context.ts';
import type { OpenWay, RedisWay } from './redis-ways.ts';
import { startTestRedis, type TestRedis } from './start-redis.ts';
import { stack, uniqueName } from './support.ts';

export type Appended = Extract<AppendOutcome, { status: 'appended' }>;

/** A space that no other test uses, with functions to use its log. */
export interface LogSpace {
  address: LogAddress;
  opened: OpenedLog;
  log: LogStore & ChangesStore;
  /** The names of its keys. */
  keys: { meta: string; log: string };
  /** Appends entries, by default one entry with one operation. */
  append(request?: Partial<AppendRequest>): Promise<AppendOutcome>;
  /** The same. @throws if the append is refused */
  add(request?: Partial<AppendRequest>): Promise<Appended>;
  settle(
    committed: number,
    request?: Partial<Parameters<LogStore['settle']>[1]>,
  ): ReturnType<LogStore['settle']>;
  read(request?: Partial<Parameters<LogStore['read']>[1]>): ReturnType<LogStore['read']>;
  /** The fields of the hash that says where the log is. */
  meta(): Promise<Record<string, string>>;
  setMeta(fields: Record<string, string | number>): Promise<void>;
  /** The time in the dirty sets since which the space has entries to drain; null: it is not in them. */
  dirtySince(): Promise<number | null>;
  /** All keys of the space in Redis, with their expiry. */
  dump(): Promise<unknown>;
}

export type SpaceOptions = Partial<LogOptions> & {
  tenantId?: string;
  isOpened?: boolean;
  findCursor?: FindCursor | null;
};

export const NO_LIMITS = { bytesMax: 2 ** 40, entriesMax: 2 ** 40, ageMsMax: 2 ** 40 };
export const ENTRY = { ops: '[{"op":"delete","id":"a"}]', count: 1 };

/**
 * Gives a test file a Redis client on the given way, and spaces. The file has its own Redis, because Postgres does not
 * know these spaces. In the shared Redis, a test that drains all spaces would remove their logs.
 */
export function useLogs(openWay: OpenWay): {
  redisUrl(): string;
  redis(): RedisClient;
  way(): RedisWay;
  openSpace(options?: SpaceOptions): Promise<LogSpace>;
} {
  let server: TestRedis;
  let way: RedisWay;
  let redis: RedisClient;
  beforeAll(async () => {
    server = await startTestRedis(decodeURIComponent(new URL(stack().redisUrl).password));
    way = await openWay(server.url);
    redis = way.open();
  });
  afterAll(async () => {
    await redis?.close();
    await way?.close();
    await server?.stop();
  });
  return {
    redisUrl: () => server.url,
    redis: () => redis,
    way: () => way,
    openSpace: (options) => openSpace(redis, options),
  };
}

export async function openSpace(
  redis: RedisClient,
  { tenantId = uniqueName('tenant'), isOpened = true, findCursor = null, ...options }: SpaceOptions = {},
): Promise<LogSpace> {
  const address = { tenantId, spaceId: uniqueName('space') };
  const opened: OpenedLog = { incarnation: uniqueName('i'), incarnationSeq: 10, cursor: 1_000 };
  const prefix = `wk:{${address.tenantId}!${address.spaceId}}`;
  const keys = { meta: `${prefix}:meta`, log: `${prefix}:${opened.incarnation}:log` };
  const log = createLogStore(redis, options, new KnownLogs(redis, { findCursor }));
  const append: LogSpace['append'] = (request = {}) =>
    log.append(address, {
      actor: null,
      entries: [ENTRY],
      waits: false,
      idempotency: null,
      budget: null,
      backlog: NO_LIMITS,
      opened: null,
      ...request,
    });
  if (isOpened) await append({ opened, entries: [] });
  return {
    address,
    opened,
    log,
    keys,
    append,
    async add(request) {
      const outcome = await append(request);
      if (outcome.status !== 'appended') throw new Error(`it was refused: ${JSON.stringify(outcome)}`);
      return outcome;
    },
    settle: (committed, request = {}) =>
      log.settle(address, {
        incarnation: opened.incarnation,
        committed,
        token: null,
        next: 'stop',
        operations: 0,
        entries: 0,
        bytes: 0,
        latencyMsSum: 0,
        ...request,
      }),
    read: (request = {}) =>
      log.read(address, {
        after: null,
        token: null,
        bytesMax: 4 * 1024 * 1024,
        entriesMax: 5_000,
        ...request,
      }),
    async meta() {
      const list = (await redis.command('HGETALL', keys.meta)) as string[];
      return Object.fromEntries(
        list.flatMap((field, i) => (i % 2 === 0 ? [[field, list[i + 1] ?? '']] : [])),
      );
    },
    dirtySince: () => findDirty(redis, address),
    async dump() {
      const names = (await redis.command('KEYS', `${prefix}:*`)) as string[];
      const values = names
        .sort()
        .map(async (name) => [name, await readWhole(redis, name), await redis.command('PEXPIRETIME', name)]);
      return { keys: await Promise.all(values), dirtySince: await findDirty(redis, address) };
    },
    async setMeta(fields) {
      await redis.command('HSET', keys.meta, ...Object.entries(fields).flat().map(String));
    },
  };
}

async function findDirty(redis: RedisClient, { tenantId, spaceId }: LogAddress): Promise<number | null> {
  const shards = Array.from({ length: 16 }, (_, shard) => `wk:dirty:${shard}`);
  const scores = await redis.pipeline(
    shards.map((shard) => ['ZSCORE', shard, `${tenantId}!${spaceId}`] as const),
  );
  const found = scores.filter((score) => score !== null);
  if (found.length > 1) throw new Error('it is in several shards');
  return found[0] === undefined ? null : Number(found[0]);
}

const READERS: Record<string, string[]> = {
  hash: ['HGETALL'],
  stream: ['XRANGE', '-', '+'],
  string: ['GET'],
};

async function readWhole(redis: RedisClient, name: string): Promise<unknown> {
  const [command = 'GET', ...rest] = READERS[String(await redis.command('TYPE', name))] ?? [];
  return redis.command(command, name, ...rest);
}
