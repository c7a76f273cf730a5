import type { ChangesStore } from '../live/live-stores.ts';
import type { LogStore } from '../log/log-stores.ts';
import { LIMITS } from '../world/limits.ts';
import type { RedisClient } from './client.ts';
import { isFull, readMemory, readSetting } from './inspect.ts';
import { DIRTY_SHARDS, INSTANCE_KEY, idempotencyKey, logMetaKey, messageIdKey } from './keys.ts';
import type { KnownLogs } from './known-logs.ts';
import { appendEntries } from './log-append.ts';
import { readChanges } from './log-changes.ts';
import { createLogContext, type LogOptions } from './log-context.ts';
import { readEntries, retireLog, settleLog } from './log-drain.ts';
import { readNoEffects } from './log-no-effects.ts';
import { readInteger, readText } from './log-reply.ts';
import { listDirtySpaces, readLogBacklog, readLogStats } from './log-stats.ts';
import { NAME_INSTANCE, SET_CHAT } from './scripts.ts';

const DEFAULTS: LogOptions = {
  leaseMs: 5_000,
  soonMs: 100,
  restMs: 250,
  shards: DIRTY_SHARDS,
  replayWindowMsMax: LIMITS.replayWindowMsMax,
  replayWindowEntriesMax: LIMITS.replayWindowEntriesMax,
  replayWindowBytesMax: LIMITS.replayWindowBytesMax,
};

/**
 * The logs of all spaces, in Redis. One of these a process, with the `KnownLogs` that whatever else reads logs has too. A reply that is none of the script's is store_unavailable: what was asked for may have been done.
 */
export function createLogStore(
  redis: RedisClient,
  options: Partial<LogOptions> = {},
  known?: KnownLogs,
): LogStore & ChangesStore {
  const context = createLogContext(redis, { ...DEFAULTS, ...options }, known);
  return {
    append: (address, request) => appendEntries(context, address, request),
    async readInstance() {
      return readText(await redis.eval(NAME_INSTANCE, [INSTANCE_KEY], [context.createToken()]));
    },
    async remembersKey(address, { principal, key, messageIds }) {
      const names = [
        idempotencyKey(address, principal, key),
        ...messageIds.map((id) => messageIdKey(address, principal, id)),
      ];
      const left = await redis.pipeline(names.map((name) => ['PTTL', name]));
      return left.some((reply) => readInteger(reply) > LIMITS.appendKeyMarginSeconds * 1_000);
    },
    read: (address, request) => readEntries(context, address, request),
    readChanges: (address, request) => readChanges(context, address, request),
    async tear(address, { incarnation, after, to }) {
      await context.known.tear(address, incarnation, { reason: 'told', after, to });
    },
    noteDurable: (address, incarnation, durable) => context.known.note(address, incarnation, { durable }),
    settle: (address, request) => settleLog(context, address, request),
    retire: (address, incarnation) => retireLog(context, address, incarnation),
    async setChat(address, rule) {
      await redis.eval(SET_CHAT, [logMetaKey(address)], ['', rule]);
    },
    listDirty: (limit) => listDirtySpaces(context, limit),
    readStats: (tenantId) => readLogStats(context, tenantId),
    readNoEffects: (address, after) => readNoEffects(context, address, after),
    readBacklog: (address) => readLogBacklog(context, address),
    async findFault() {
      const policy = await readSetting(redis, 'maxmemory-policy');
      return policy === null || policy === 'noeviction' ? null : 'evicts';
    },
    async isFull() {
      const memory = await readMemory(redis);
      return memory !== null && isFull(memory);
    },
  };
}
