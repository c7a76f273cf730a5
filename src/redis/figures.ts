import type { LogAddress } from '../log/log-stores.ts';
import type { LogFigures, LogFiguresStore, SpaceFigures } from '../metrics/figures-stores.ts';
import { LIMITS } from '../world/limits.ts';
import type { RedisClient, RedisReply } from './client.ts';
import {
  ALL_STREAMS_KEY,
  COUNTS_KEY,
  DIRTY_SHARDS,
  dirtyKey,
  drainStatsKey,
  logMetaKey,
  newestSpacesKey,
  presenceKeys,
  readSpaceMember,
  spaceMember,
  spaceStreamsKey,
  tenantStreamsKey,
} from './keys.ts';
import { checkLength, readCount, readList, readText } from './log-reply.ts';
import { readCounts, readMaybeSeq } from './log-stats.ts';
import { FIND_TENANT_SPACES, READ_FIGURES } from './scripts.ts';

/** The figures of tenants, in Redis. No process counts them: drains and streams keep what this reads. */
export function createFiguresStore(redis: RedisClient): LogFiguresStore {
  return {
    async readFigures(tenantId, fields) {
      const found = await findSpaces(redis, tenantId);
      return readAll(redis, tenantId, fields, found);
    },
  };
}

interface FoundSpaces {
  streams: number;
  pendingSpaces: number;
  /** Spaces of the tenant, the longest waiting first. */
  pending: LogAddress[];
  newest: LogAddress[];
}

async function findSpaces(redis: RedisClient, tenantId: string): Promise<FoundSpaces> {
  const shards = Array.from({ length: DIRTY_SHARDS }, (_, shard) => dirtyKey(shard));
  const searched = Math.ceil(LIMITS.figuresSearchedSpacesMax / DIRTY_SHARDS);
  const [streams, pendingSpaces, count, ...members] = readList(
    await redis.eval(
      FIND_TENANT_SPACES,
      [newestSpacesKey(tenantId), ALL_STREAMS_KEY, ...shards],
      [spaceMember({ tenantId, spaceId: '' }), String(searched)],
    ),
  );
  const newest = readSpaces(members.splice(0, readCount(count)));
  const waiting = members.flatMap((member, i) =>
    i % 2 === 0 ? [{ member, oldest: readCount(members[i + 1]) }] : [],
  );
  waiting.sort((a, b) => a.oldest - b.oldest);
  const longest = waiting.slice(0, LIMITS.figuresPendingSpacesMax).map(({ member }) => member);
  return {
    streams: readCount(streams),
    pendingSpaces: readCount(pendingSpaces),
    pending: readSpaces(longest),
    newest,
  };
}

function readSpaces(members: readonly RedisReply[]): LogAddress[] {
  return members.flatMap((member) => readSpaceMember(readText(member)) ?? []);
}

async function readAll(
  redis: RedisClient,
  tenantId: string,
  fields: readonly string[],
  { streams, pendingSpaces, pending, newest }: FoundSpaces,
): Promise<LogFigures> {
  const shown = uniteSpaces([...pending.slice(0, LIMITS.figuresSpacesMax), ...newest]);
  const all = uniteSpaces([...shown, ...pending]);
  const keys = all.flatMap((space, i) =>
    i < shown.length
      ? [logMetaKey(space), spaceStreamsKey(space), presenceKeys(space)[0]]
      : [logMetaKey(space)],
  );
  const [now, drained, , ownStreams, counts, ...found] = readList(
    await redis.eval(
      READ_FIGURES,
      [drainStatsKey(tenantId), tenantStreamsKey(tenantId), COUNTS_KEY, ...keys],
      [String(shown.length), String(LIMITS.presenceSilentMsMax), ...fields],
    ),
  );
  checkLength(found, all.length);
  const nowMs = readCount(now) / 1_000;
  const read = all.map(({ spaceId }, i) => readSpace(spaceId, found[i], nowMs));
  const spaces = read.filter((space) => space !== null);
  const sum = (of: 'pendingOperations' | 'pendingEntries' | 'pendingBytes') =>
    spaces.reduce((total, space) => total + space[of], 0);
  const values = readList(counts);
  return {
    streams: readCount(ownStreams),
    drained: readCount(drained ?? 0),
    pending: {
      spaces: spaces.filter(({ pendingEntries }) => pendingEntries > 0).length,
      operations: sum('pendingOperations'),
      entries: sum('pendingEntries'),
      bytes: sum('pendingBytes'),
      oldestMs: spaces.reduce((max, { oldestPendingMs }) => Math.max(max, oldestPendingMs), 0),
    },
    spaces: read
      .slice(0, shown.length)
      .filter((space) => space !== null)
      .sort((a, b) => b.pendingOperations - a.pendingOperations || b.seq - a.seq)
      .slice(0, LIMITS.figuresSpacesMax),
    deployment: {
      streams,
      pendingSpaces,
      counts: new Map(fields.map((field, i) => [field, readCount(values[i] ?? 0)])),
    },
  };
}

function uniteSpaces(spaces: readonly LogAddress[]): LogAddress[] {
  return [...new Map(spaces.map((space) => [space.spaceId, space])).values()];
}

/** @returns null for a space that is gone. */
function readSpace(id: string, reply: RedisReply | undefined, nowMs: number): SpaceFigures | null {
  const [incarnation, counts, settled, oldest, last, deleted, streams, sessions] = readList(reply);
  if (incarnation === null || deleted === '1') return null;
  const [appended, before, oldestSeq] = [readCounts(counts), readCounts(settled), readMaybeSeq(oldest)];
  return {
    id,
    seq: readMaybeSeq(last) ?? 0,
    appended: appended.operations,
    pendingOperations: appended.operations - before.operations,
    pendingEntries: appended.entries - before.entries,
    pendingBytes: appended.bytes - before.bytes,
    oldestPendingMs: oldestSeq === null ? 0 : Math.max(0, nowMs - oldestSeq / 1_000),
    streams: readCount(streams),
    sessions: readCount(sessions),
  };
}
