import type { ListedPerson, PresenceSpace, PresenceStore } from '../presence.ts';
import type { RedisClient, RedisReply } from './client.ts';
import { createLostError } from './errors.ts';
import { liveChannel, logMetaKey, presenceKeys } from './keys.ts';
import { readCount, readList, readText } from './log-reply.ts';
import { LEAVE_PRESENCE, LIST_PRESENCE, TOUCH_PRESENCE } from './scripts.ts';

/** What Presence needs, in Redis. Every method is one command. */
export function createPresenceStore(redis: RedisClient): PresenceStore {
  async function list(space: PresenceSpace, silentMs: number, limit: number, after: string) {
    const args = [...readArguments(space, silentMs), String(limit), after];
    const [swept, next, ...people] = readList(await redis.eval(LIST_PRESENCE, readKeys(space), args));
    return { swept: readCount(swept), next: readText(next), people };
  }

  return {
    async touch({ userId, sessionId, ...space }, { silentMs, keptMs }) {
      const args = [...readArguments(space, silentMs), String(keptMs), userId, sessionId];
      readCount(await redis.eval(TOUCH_PRESENCE, readKeys(space), args));
    },
    async leave(space, userId, sessionId, silentMs) {
      const args = [...readArguments(space, silentMs), userId, sessionId ?? ''];
      readCount(await redis.eval(LEAVE_PRESENCE, readKeys(space), args));
    },
    async sweep(space, silentMs) {
      return (await list(space, silentMs, 0, '')).swept;
    },
    async list(space, { after, limit }, silentMs) {
      const { people, next } = await list(space, silentMs, limit, after);
      return { people: readPeople(people), next: next === '' ? null : next };
    },
    async clear(space) {
      await redis.command('UNLINK', ...presenceKeys(space));
    },
  };
}

function readKeys(space: PresenceSpace): string[] {
  return [logMetaKey(space), ...presenceKeys(space)];
}

/** The incarnation is known to the script alone: no id has a blank in it. */
function readArguments(space: PresenceSpace, silentMs: number): string[] {
  const [before = '', behind = ''] = liveChannel(space, ' ').split(' ');
  return [before, behind, String(silentMs)];
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
