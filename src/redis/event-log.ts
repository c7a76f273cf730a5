import type { EventEntry, EventLogStore, EventText } from '../events/event-stores.ts';
import { AppError } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import type { RedisClient } from './client.ts';
import { EVENT_LOG_KEYS, eventIdsKey } from './keys.ts';
import { checkLength, readCount, readInteger, readList, readSeq, readText, readWord } from './log-reply.ts';
import { APPEND_EVENTS, READ_EVENTS, SETTLE_EVENTS } from './scripts.ts';

export interface EventLogTimes {
  /** Milliseconds from an append to the drain that it claims. */
  soonMs: number;
  /** Milliseconds of silence after which a drain has ended. */
  leaseMs: number;
  /** Bytes of events that wait: of all tenants, and of one. */
  backlogBytesMax: number;
  tenantBacklogBytesMax: number;
  idsKeptMax: number;
}

const STATUSES = ['read', 'empty', 'relieved'] as const;

/** The log of events in Redis. */
export function createEventLogStore(
  redis: RedisClient,
  {
    soonMs = 1_000,
    leaseMs = 10_000,
    backlogBytesMax = LIMITS.eventsBacklogBytesMax,
    tenantBacklogBytesMax = LIMITS.eventsTenantBacklogBytesMax,
    idsKeptMax = LIMITS.eventIdsKeptMax,
  }: Partial<EventLogTimes> = {},
): EventLogStore {
  const [metaKey, logKey, pendingKey] = EVENT_LOG_KEYS;
  const times = [soonMs * 1_000, leaseMs * 1_000];
  const backlog = [backlogBytesMax, tenantBacklogBytesMax, LIMITS.entryBytesMax];

  return {
    async append(tenantId, events, sender) {
      const token = crypto.randomUUID();
      const nothing = { backlog: 0, tenantBacklog: 0, memory: 0 };
      let reply: Awaited<ReturnType<RedisClient['eval']>>;
      try {
        reply = await redis.eval(
          APPEND_EVENTS,
          [metaKey, logKey, pendingKey, eventIdsKey(tenantId, sender)],
          [
            ...[tenantId, token, crypto.randomUUID()],
            ...[...times, ...backlog, LIMITS.eventIdSeconds, idsKeptMax].map(String),
            ...events.flatMap(({ callerId, text }: EventText) => [callerId ?? '', text]),
          ],
        );
      } catch (error) {
        if (!isFull(error)) throw error;
        const dropped = { ...nothing, memory: events.length };
        return { accepted: 0, duplicates: 0, dropped, drain: null };
      }
      const list = readList(reply);
      checkLength(list, 5);
      const [accepted = 0, duplicates = 0, overTotal = 0, overOwn = 0] = list.slice(0, 4).map(readCount);
      const afterMs = readInteger(list[4]);
      return {
        accepted,
        duplicates,
        dropped: { ...nothing, backlog: overTotal, tenantBacklog: overOwn },
        drain: afterMs < 0 ? null : { token, afterMs },
      };
    },

    async read(token, { bytesMax, eventsMax }) {
      const args = [token ?? '', String(bytesMax), String(eventsMax)];
      const list = readList(await redis.eval(READ_EVENTS, [metaKey, logKey], args));
      const status = readWord(list[0], STATUSES);
      if (status !== 'read') return { status };
      const entries: EventEntry[] = [];
      for (let i = 3; i < list.length; i += 3)
        entries.push({
          seq: readSeq(list[i]),
          tenantId: readText(list[i + 1]),
          events: readText(list[i + 2]),
        });
      return { status, name: readText(list[1]), settled: readCount(list[2]), entries };
    },

    async settle({ name, cursor, token, ends }) {
      const args = [name, String(cursor), token ?? '', ends ? '1' : '0'];
      return {
        isEmpty: readCount(await redis.eval(SETTLE_EVENTS, [metaKey, logKey, pendingKey], args)) === 1,
      };
    },
  };
}

/** Whether the memory of Redis is full. */
function isFull(error: unknown): boolean {
  return error instanceof AppError && (error.cause as { code?: unknown } | undefined)?.code === 'OOM';
}
