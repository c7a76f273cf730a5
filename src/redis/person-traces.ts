import type { PersonTraces } from '../persistence/world-stores.ts';
import { LIMITS } from '../world/limits.ts';
import type { Seq } from '../world/types.ts';
import type { RedisClient } from './client.ts';
import {
  eventIdsKey,
  isKeyOfPerson,
  liveChannel,
  logKey,
  logMetaKey,
  matchTenantKeys,
  noEffectsKey,
  presenceKeys,
  readCopyKind,
  userSessionKey,
} from './keys.ts';
import { checkLength, readCount, readList, readSeq, readText } from './log-reply.ts';
import { FORGET_PERSON, TRACE_PERSON } from './scripts.ts';

/** Keys that one SCAN looks at, about: a few milliseconds. A Worker may send 1,000 requests. */
const SCAN_KEYS = 10_000;
/** Bytes of logs that one command looks at: a few milliseconds. */
const TRACED_BYTES = 2 * 1024 * 1024;
/** Spaces that one command looks at. */
const TRACED_SPACES = 50;

/** Finds and removes the traces of a person in Redis. */
export function createPersonTraces(redis: RedisClient): PersonTraces {
  return {
    ping: () => redis.ping(),

    async find(tenantId, logs, userId) {
      const traces = logs.map((log) => ({
        log,
        seq: null as Seq | null,
        isNoted: false,
        after: '' as string | null,
      }));
      for (;;) {
        const open = traces.filter(({ after }) => after !== null).slice(0, TRACED_SPACES);
        if (open.length === 0) break;
        const keys = open.flatMap(({ log: { spaceId, incarnation } }) => {
          const space = { tenantId, spaceId };
          const [, people] = presenceKeys(space);
          return [logKey(space, incarnation), people, noEffectsKey(space)];
        });
        const from = open.map(({ after }) => after ?? '');
        const reply = readList(await redis.eval(TRACE_PERSON, keys, [userId, String(TRACED_BYTES), ...from]));
        checkLength(reply, 3 * open.length);
        for (const [i, trace] of open.entries()) {
          const [newest, next] = reply.slice(3 * i, 3 * i + 2).map(readText);
          if (newest) trace.seq = readSeq(newest);
          trace.isNoted ||= readCount(reply[3 * i + 2]) === 1;
          trace.after = next || null;
        }
      }
      return traces.flatMap(({ log, seq, isNoted }) => (seq === null && !isNoted ? [] : [{ log, seq }]));
    },

    async forget(tenantId, { spaceId, incarnation }, userId, seq) {
      const space = { tenantId, spaceId };
      const [before = '', behind = ''] = liveChannel(space, ' ').split(' ');
      const reply = await redis.eval(
        FORGET_PERSON,
        [logMetaKey(space), ...presenceKeys(space), noEffectsKey(space), logKey(space, incarnation)],
        [
          ...[before, behind, String(LIMITS.presenceSilentMsMax), String(LIMITS.presenceKeptMs)],
          ...[userId, incarnation, String(seq ?? '')],
        ],
      );
      return readCount(reply) === 1;
    },

    async removeKeys(tenantId, userId) {
      let removed = 0;
      const match = matchTenantKeys(tenantId);
      for await (const keys of scan(redis, ['SCAN'], match)) {
        const copies = keys.filter((key) => readCopyKind(key) !== null);
        const own = keys.filter((key) => isKeyOfPerson(key, userId));
        if (copies.length > 0) await redis.command('UNLINK', ...copies);
        if (own.length > 0) removed += readCount(await redis.command('UNLINK', ...own));
      }
      const ids = eventIdsKey(tenantId, 'person');
      for await (const found of scan(redis, ['ZSCAN', ids], `${userId}!*`)) {
        // Each with its score behind it.
        const members = found.filter((_, i) => i % 2 === 0);
        if (members.length > 0) removed += readCount(await redis.command('ZREM', ids, ...members));
      }
      return removed;
    },

    async readSessionData(tenantId, userId) {
      const text = await redis.command('GET', userSessionKey(tenantId, userId));
      return text === null ? null : readText(text);
    },
  };
}

/** The pages of a scan. None of its commands blocks others. */
async function* scan(
  redis: RedisClient,
  [name, ...place]: readonly [name: string, ...place: string[]],
  match: string,
): AsyncGenerator<string[]> {
  let cursor = '';
  while (cursor !== '0') {
    const options = ['MATCH', match, 'COUNT', String(SCAN_KEYS)];
    const [next, found] = readList(await redis.command(name, ...place, cursor || '0', ...options));
    yield readList(found).map((item) => String(item));
    // A number over one way, its digits over the other.
    cursor = String(next);
  }
}
