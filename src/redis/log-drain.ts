import type {
  LogAddress,
  RawEntry,
  ReadOutcome,
  ReadRequest,
  Settled,
  SettleRequest,
} from '../log/log-stores.ts';
import { LIMITS } from '../world/limits.ts';
import type { Seq } from '../world/types.ts';
import type { RedisReply } from './client.ts';
import { createLostError } from './errors.ts';
import {
  drainStatsKey,
  liveChannel,
  logKey,
  logMetaKey,
  newestSpacesKey,
  noEffectsKey,
  snapshotKey,
  spaceMember,
} from './keys.ts';
import type { LogContext } from './log-context.ts';
import { encodeNoEffect } from './log-no-effects.ts';
import { checkLength, readCount, readInteger, readList, readSeq, readText, readWord } from './log-reply.ts';
import { READ, RETIRE, SETTLE } from './scripts.ts';

const READ_STATUSES = ['read', 'cold', 'deleted', 'moved', 'unverified', 'relieved'] as const;
const TEARS = ['', 'lost', 'behind', 'told'] as const;
/** As settle.lua has it. */
const NEXT = { stop: '0', continue: '1', pause: '2' } as const;
/** For a day, an append to a deleted space is answered `deleted`. */
const DELETED_SECONDS = 86_400;

/** @throws store_unavailable */
export async function readEntries(
  { redis, known }: LogContext,
  address: LogAddress,
  { after, token, bytesMax, entriesMax, incarnation: ofAfter }: ReadRequest,
): Promise<ReadOutcome> {
  return known.call<ReadOutcome>(address, undefined, async ({ incarnation, isUnchecked }) => {
    const seen = ofAfter === incarnation ? (after ?? 0) : 0;
    const readOnce = () => known.readWhole(address, incarnation, () => read(incarnation, isUnchecked), seen);
    const outcome = await readOnce();
    if (!('entries' in outcome) || outcome.entries.length > 0 || outcome.after >= outcome.last)
      return outcome;
    // The log's end is missing: a break takes its place, unless there is one.
    const isTorn = await known.tear(address, incarnation, { reason: 'end', seq: outcome.after });
    return isTorn ? readOnce() : outcome;
  });

  async function read(
    incarnation: string,
    isUnchecked: boolean,
  ): Promise<(ReadOutcome | { movedTo: string } | { isUnverified: true }) & { last?: Seq }> {
    const reply = await redis.eval(
      READ,
      [logMetaKey(address), logKey(address, incarnation)],
      [
        ...[incarnation, token ?? ''],
        ...[after === null ? '' : String(after), String(bytesMax), String(entriesMax)],
        isUnchecked ? '1' : '0',
      ],
    );
    const list = readList(reply);
    const status = readWord(list[0], READ_STATUSES);
    switch (status) {
      case 'moved':
        checkLength(list, 2);
        return { movedTo: readText(list[1]) };
      case 'deleted':
        checkLength(list, 2);
        return { status, incarnation: readText(list[1]) };
      case 'read': {
        const entries: RawEntry[] = [];
        for (let i = 7; i < list.length; i += 2) entries.push(readEntry(list[i], list[i + 1]));
        const [after = 0, last = 0, at = 0] = [1, 2, 3].map((i) => readCount(list[i]));
        const why = readWord(list[4], TEARS);
        const lostTo = Number(readText(list[5]).split(' ')[1] ?? at);
        const tear = why === '' ? null : { at, why, lostTo };
        return { status, incarnation, after, last, entries, tear, restartedAt: readCount(list[6]) };
      }
      case 'unverified':
        checkLength(list, 1);
        return { isUnverified: true };
      default:
        checkLength(list, 1);
        return { status };
    }
  }
}

/** An entry as read.lua and read-changes.lua reply it. */
export function readEntry(head: RedisReply | undefined, ops: RedisReply | undefined): RawEntry {
  const [, seq, prev, count, waits, actor = '', requestId = ''] =
    /^(\d+) (\d+) (\d+) ([012]) (\S*)(?: (.*))?$/s.exec(readText(head)) ?? [];
  return {
    seq: readSeq(seq),
    prev: readCount(prev),
    actor: actor === '' ? null : actor,
    ...(requestId !== '' && { requestId }),
    ops: readText(ops),
    count: readCount(count),
    waits: waits !== '0',
    ...(waits === '2' && { returnsObject: true }),
  };
}

/** @throws store_unavailable */
export async function settleLog(
  { redis, options, known }: LogContext,
  address: LogAddress,
  { incarnation, committed, token, next, operations, entries, latencyMsSum, noEffects = [] }: SettleRequest,
): Promise<Settled> {
  const reply = await redis.eval(
    SETTLE,
    [
      ...[logMetaKey(address), logKey(address, incarnation), known.dirtyKey(address)],
      ...[drainStatsKey(address.tenantId), snapshotKey(address, incarnation), noEffectsKey(address)],
      newestSpacesKey(address.tenantId),
    ],
    [
      ...[incarnation, spaceMember(address), String(committed), token ?? '', NEXT[next]],
      ...[options.restMs * 1_000, operations, entries, Math.max(0, Math.round(latencyMsSum))].map(String),
      String(Math.ceil(options.replayWindowMsMax / 1_000)),
      ...[options.replayWindowEntriesMax, options.replayWindowBytesMax].map(String),
      ...[noEffects.length, LIMITS.noEffectsKeptMax, LIMITS.noEffectsKeptSeconds].map(String),
      liveChannel(address, incarnation),
      ...[LIMITS.figuresSpacesMax, LIMITS.figuresNewestSeconds].map(String),
      ...noEffects.slice(0, LIMITS.noEffectsNotedMax).map(encodeNoEffect),
    ],
  );
  const list = readList(reply);
  checkLength(list, 7);
  const isDrained = readCount(list[1]);
  if (isDrained > 1) throw createLostError(new TypeError('a script replied something else'));
  const [objects = -1, behind = 0, bytes = 0, micros = 0] = list.slice(3).map(readInteger);
  return {
    last: readCount(list[0]),
    isDrained: isDrained === 1,
    restMs: readCount(list[2]) / 1_000,
    snapshot: objects < 0 ? null : { objects, operations: behind, bytes, ms: micros / 1_000 },
  };
}

/** @throws store_unavailable */
export async function retireLog(
  { redis, known }: LogContext,
  address: LogAddress,
  incarnation: string,
): Promise<void> {
  const reply = await redis.eval(
    RETIRE,
    [logMetaKey(address), logKey(address, incarnation), known.dirtyKey(address)],
    [incarnation, spaceMember(address), String(DELETED_SECONDS), liveChannel(address, incarnation)],
  );
  readCount(reply);
}
