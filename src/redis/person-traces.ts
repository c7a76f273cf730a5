import type { PersonTraces } from '../persistence/world-stores.ts';
import { LIMITS } from '../world/limits.ts';
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
import { readCount, readList, readSeq, readText } from './log-reply.ts';
import { FORGET_PERSON, TRACE_PERSON } from './scripts.ts';

/** Keys that one SCAN looks at, about. */
const SCAN_KEYS = 1_000;
/** Bytes of a log that one command looks at: a few milliseconds. */
const TRACED_BYTES = 2 * 1024 * 1024;

/** What Redis holds of a person, and how it goes. */
export function createPersonTraces(redis: RedisClient): PersonTraces {
  return {
    ping: () => redis.ping(),

    async findInLog(tenantId, { spaceId, incarnation }, userId) {
      const key = logKey({ tenantId, spaceId }, incarnation);
      let newest: string | null = null;
      for (let after: string | null = ''; after !== null; ) {
        const reply = await redis.eval(TRACE_PERSON, [key], [userId, after, String(TRACED_BYTES)]);
        const [found, next] = readList(reply).map(readText);
        newest = found || newest;
        after = next || null;
      }
      return newest === null ? null : readSeq(newest);
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
