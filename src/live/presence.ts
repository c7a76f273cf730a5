import { readCursor, writeCursor } from '../world/cursor.ts';
import { checkId, checkPageLimit } from '../world/schemas.ts';
import type { Page } from '../world/types.ts';

/** A space, as presence names it. */
export interface PresenceSpace {
  tenantId: string;
  spaceId: string;
}

/** A person's stay in one space. */
export interface Stay extends PresenceSpace {
  sessionId: string;
  userId: string;
}

/** A person in a space. Times are RFC 3339, by the clock of Redis. */
export interface PresentPerson {
  userId: string;
  /** How many stays of theirs are present. */
  sessions: number;
  joinedAt: string;
  lastSeenAt: string;
}

/**
 * The part of Redis that Presence needs. Times are milliseconds since 1970. A session has left after `LIMITS.presenceSilentMsMax` of
 * silence.
 */
export interface PresenceStore {
  /** A stay that has ended is not begun again. */
  touch(stay: Stay): Promise<void>;
  /** @param sessionId null: all that the person has in the space. */
  leave(space: PresenceSpace, userId: string, sessionId: string | null): Promise<void>;
  /** @returns how many stays were taken out. */
  sweep(space: PresenceSpace): Promise<number>;
  /** @param after userId behind which to go on, '' for the beginning. */
  list(
    space: PresenceSpace,
    page: { after: string; limit: number },
  ): Promise<{ people: ListedPerson[]; next: string | null }>;
  clear(space: PresenceSpace): Promise<void>;
}

export interface ListedPerson {
  userId: string;
  sessions: number;
  joinedMs: number;
  seenMs: number;
}

/**
 * The people in a space. A session is present from its first touch until it leaves, or until 60 s of silence. A person with several
 * sessions joins once and leaves with the last one. Joins, leaves and time-outs are published once each, on the channel of the space:
 * `{"presence": {"event": "join" | "leave" | "time_out", "userId", "at"}}`.
 *
 * Every method is one command, and rejects with store_unavailable while Redis is away.
 */
export class Presence {
  readonly #store: PresenceStore;

  constructor(store: PresenceStore) {
    this.#store = store;
  }

  /** Notes that the session continues, unless it has ended. It also removes sessions of the space that were silent for too long. */
  async touch(stay: Stay): Promise<void> {
    await this.#store.touch(stay);
  }

  /** Ends the stay for good: what is still heard of it does not bring it back. */
  async leave({ userId, sessionId, ...space }: Stay): Promise<void> {
    await this.#store.leave(space, userId, sessionId);
  }

  /** Ends all stays of a person in the space. */
  async leaveWhole({ userId, ...space }: PresenceSpace & { userId: string }): Promise<void> {
    await this.#store.leave(space, userId, null);
  }

  /** Takes out what was silent for too long, and publishes it. @returns how many stays that were. */
  async sweep(space: PresenceSpace): Promise<number> {
    return this.#store.sweep(space);
  }

  /** The people in a space, by their ids. It does not check whether the space exists. @throws validation_failed */
  async list({
    tenantId,
    spaceId,
    limit,
    cursor,
  }: PresenceSpace & { limit?: number | string | undefined; cursor?: string | undefined }): Promise<
    Page<PresentPerson>
  > {
    const page = { limit: checkPageLimit(limit), after: readCursor(cursor) };
    const space = { tenantId, spaceId: checkId(spaceId, '/space') };
    const { people, next } = await this.#store.list(space, page);
    return {
      items: people.map(({ userId, sessions, joinedMs, seenMs }) => ({
        userId,
        sessions,
        joinedAt: toTime(joinedMs),
        lastSeenAt: toTime(seenMs),
      })),
      nextCursor: next === null ? null : writeCursor(next),
    };
  }

  /** Takes everybody out of a space that is gone. Nobody is told: nobody can be there to hear. */
  async clear(space: PresenceSpace): Promise<void> {
    await this.#store.clear(space);
  }
}

function toTime(ms: number): string {
  return new Date(ms).toISOString();
}
