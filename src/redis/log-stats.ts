import type { Backlog, BacklogLimits, LogAddress, LogStats } from '../log/log-stores.ts';
import type { Seq } from '../world/types.ts';
import type { RedisClient, RedisCommand, RedisReply } from './client.ts';
import {
  ALL_STREAMS_KEY,
  DIRTY_SHARDS,
  dirtyKey,
  drainStatsKey,
  logMetaKey,
  readSpaceMember,
} from './keys.ts';
import type { LogContext } from './log-context.ts';
import { readCount, readInteger, readList, readSeq, readText } from './log-reply.ts';
import { READ_BACKLOGS, READ_WAITING } from './scripts.ts';

/** Of a tenant's spaces with something to drain, those whose backlogs are added up: the ones that wait longest. */
const COUNTED_SPACES_MAX = 1_000;
/** Spaces of all tenants that are searched for the tenant's own. */
const LISTED_SPACES_MAX = 10_000;
const COUNTERS = ['counts', 'settled', 'oldest', 'last', 'deleted'] as const;

type DirtySpace = LogAddress & { oldestSeq: Seq };

/** The backlogs of all spaces of all tenants, and what else the same command counts. */
export interface DeploymentBacklog {
  /** Open streams. */
  streams: number;
  spaces: number;
  /** The sums of the spaces that wait longest. */
  operations: number;
  entries: number;
  bytes: number;
  /** Seconds for which the oldest entry has waited. */
  oldestSeconds: number;
  /** The used part of a limit, of the space that has used most. */
  usedRatio: number;
}

/** @throws store_unavailable */
export async function listDirtySpaces({ redis, options }: LogContext, limit: number): Promise<DirtySpace[]> {
  if (limit <= 0) return [];
  const commands = Array.from(
    { length: options.shards },
    (_, shard): RedisCommand => ['ZRANGE', dirtyKey(shard), '0', String(limit - 1), 'WITHSCORES'],
  );
  const spaces = (await redis.pipeline(commands)).flatMap(readShard);
  return spaces.sort((a, b) => a.oldestSeq - b.oldestSeq).slice(0, limit);
}

function readShard(reply: RedisReply): DirtySpace[] {
  const list = readList(reply);
  const spaces: DirtySpace[] = [];
  for (let i = 0; i < list.length; i += 2) {
    const address = readSpaceMember(readText(list[i]));
    if (address !== null) spaces.push({ ...address, oldestSeq: readSeq(list[i + 1]) });
  }
  return spaces;
}

/** @throws store_unavailable */
export async function readLogBacklog({ redis }: LogContext, address: LogAddress): Promise<Backlog> {
  return readCounters(await redis.command('HMGET', logMetaKey(address), ...COUNTERS));
}

function readCounters(reply: RedisReply): Backlog {
  const [counts, settled, oldest, last, deleted] = readList(reply);
  // The log of a deleted space is gone.
  if (deleted === '1') return { operations: 0, entries: 0, bytes: 0, oldestSeq: null, last: null };
  const [appended, before] = [readCounts(counts), readCounts(settled)];
  return {
    operations: appended.operations - before.operations,
    entries: appended.entries - before.entries,
    bytes: appended.bytes - before.bytes,
    oldestSeq: readMaybeSeq(oldest),
    last: readMaybeSeq(last),
  };
}

export function readMaybeSeq(reply: RedisReply | undefined): Seq | null {
  return reply === null || reply === '' ? null : readSeq(reply);
}

/** `operations entries bytes`; of a space that is not known, none. */
export function readCounts(reply: RedisReply | undefined): {
  operations: number;
  entries: number;
  bytes: number;
} {
  const [operations, entries, bytes] = readText(reply ?? '0 0 0').split(' ');
  return { operations: readCount(operations), entries: readCount(entries), bytes: readCount(bytes) };
}

/** One command, and a second one while a space has a backlog. @throws store_unavailable */
export async function readDeploymentBacklog(
  redis: RedisClient,
  { limits, spacesMax }: { limits: BacklogLimits; spacesMax: number },
): Promise<DeploymentBacklog> {
  const shards = Array.from({ length: DIRTY_SHARDS }, (_, shard) => dirtyKey(shard));
  const reply = readList(await redis.eval(READ_WAITING, [ALL_STREAMS_KEY, ...shards], [String(spacesMax)]));
  const [nowMicros, streams, spaces] = reply.slice(0, 3).map(readCount);
  const longest = readShard(reply.slice(3))
    .sort((a, b) => a.oldestSeq - b.oldestSeq)
    .slice(0, spacesMax);
  const backlogs = longest.length === 0 ? [] : await readBacklogs(redis, longest);
  const sum = (of: 'operations' | 'entries' | 'bytes') =>
    backlogs.reduce((total, backlog) => total + backlog[of], 0);
  const waitedMs = (oldestSeq: Seq | null | undefined) =>
    oldestSeq === null || oldestSeq === undefined ? 0 : Math.max(0, (nowMicros ?? 0) - oldestSeq) / 1_000;
  const used = backlogs.flatMap(({ bytes, entries, oldestSeq }) => [
    bytes / limits.bytesMax,
    entries / limits.entriesMax,
    waitedMs(oldestSeq) / limits.ageMsMax,
  ]);
  return {
    streams: streams ?? 0,
    spaces: spaces ?? 0,
    operations: sum('operations'),
    entries: sum('entries'),
    bytes: sum('bytes'),
    oldestSeconds: waitedMs(longest[0]?.oldestSeq) / 1_000,
    usedRatio: used.reduce((max, ratio) => Math.max(max, ratio), 0),
  };
}

async function readBacklogs(redis: RedisClient, spaces: readonly LogAddress[]): Promise<Backlog[]> {
  const reply = await redis.eval(READ_BACKLOGS, spaces.map(logMetaKey), COUNTERS);
  return readList(reply).map(readCounters);
}

/** Two round trips, and a third where something is queued. @throws store_unavailable */
export async function readLogStats(context: LogContext, tenantId: string): Promise<LogStats> {
  const { redis } = context;
  const [dirty, [counts, time]] = await Promise.all([
    listDirtySpaces(context, LISTED_SPACES_MAX),
    redis.pipeline([
      ['HMGET', drainStatsKey(tenantId), 'processed', 'latencyMs', 'latencyEntries', 'noEffect'],
      ['TIME'],
    ]),
  ]);
  const own = dirty.filter((space) => space.tenantId === tenantId);
  const backlogs = await redis.pipeline(
    own.slice(0, COUNTED_SPACES_MAX).map((space) => ['HMGET', logMetaKey(space), ...COUNTERS]),
  );
  const [processed, latencyMs, latencyEntries, noEffect] = readList(counts);
  const [seconds, micros] = readList(time).map(readInteger);
  const nowMs = (seconds ?? 0) * 1_000 + (micros ?? 0) / 1_000;
  const oldestSeq = own[0]?.oldestSeq;
  return {
    processed: readCount(processed ?? 0),
    noEffect: readCount(noEffect ?? 0),
    queued: backlogs.reduce<number>((sum, reply) => sum + readCounters(reply).operations, 0),
    averageLatencyMs: Number(latencyMs ?? 0) / Math.max(Number(latencyEntries ?? 0), 1),
    durabilityLagMs: oldestSeq === undefined ? 0 : Math.max(0, nowMs - oldestSeq / 1_000),
  };
}
