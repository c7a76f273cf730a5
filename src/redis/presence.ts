import type { ListedPerson, PresenceSpace, PresenceStore } from '../live/presence.ts';
import { LIMITS } from '../world/limits.ts';
import type { RedisClient, RedisReply, RedisScript } from './client.ts';
import { createLostError } from './errors.ts';
import { liveChannel, logMetaKey, presenceKeys } from './keys.ts';
import { readCount, readList, readText } from './log-reply.ts';
import { LEAVE_PRESENCE, LIST_PRESENCE, TOUCH_PRESENCE } from './scripts.ts';

/** Presence in Redis. Every method is one command. */
export function createPresenceStore(redis: RedisClient): PresenceStore {
  /** Each script begins with the same keys and arguments. */
  function run(script: RedisScript, space: PresenceSpace, ...args: string[]): Promise<RedisReply> {
    // The incarnation is known to the script alone: no id has a blank in it.
    const [before = '', behind = ''] = liveChannel(space, ' ').split(' ');
    const times = [LIMITS.presenceSilentMsMax, LIMITS.presenceKeptMs].map(String);
    return redis.eval(
      script,
      [logMetaKey(space), ...presenceKeys(space)],
      [before, behind, ...times, ...args],
    );
  }
  async function list(space: PresenceSpace, limit: number, after: string) {
    const [swept, next, count, ...rest] = readList(await run(LIST_PRESENCE, space, String(limit), after));
    const silent = rest.splice(0, readCount(count)).map(readText);
    return { swept: readCount(swept), next: readText(next), silent, people: rest };
  }

  return {
    async touch({ userId, sessionId, ...space }) {
      const [joined, ...silent] = readList(await run(TOUCH_PRESENCE, space, userId, sessionId));
      return { hasJoined: readCount(joined) === 1, silent: silent.map(readText) };
    },
    async leave(space, userId, sessionId) {
      return { hasLeft: readCount(await run(LEAVE_PRESENCE, space, userId, sessionId ?? '')) === 1 };
    },
    async sweep(space) {
      const { swept, silent } = await list(space, 0, '');
      return { swept, silent };
    },
    async list(space, { after, limit }) {
      const { people, next, silent } = await list(space, limit, after);
      return { people: readPeople(people), next: next === '' ? null : next, silent };
    },
    async clear(space) {
      await redis.command('UNLINK', ...presenceKeys(space));
    },
  };
}

function readPeople(list: readonly RedisReply[]): ListedPerson[] {
  const people: ListedPerson[] = [];
  for (let i = 0; i < list.length; i += 2) {
    const record = /^(\d+) (\d+) (\d+)$/.exec(readText(list[i + 1]));
    if (record === null) throw createLostError(new TypeError('a script replied something else'));
    const [joinedMs = 0, seenMs = 0, sessions = 0] = record.slice(1).map(Number);
    people.push({ userId: readText(list[i]), sessions, joinedMs, seenMs });
  }
  return people;
}
