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
 * silence. `silent` are the people who left by their silence, as this call noticed: each leave is noticed once.
 */
export interface PresenceStore {
  /** A stay that has ended is not begun again. */
  touch(stay: Stay): Promise<{ hasJoined: boolean; silent: string[] }>;
  /** @param sessionId null: all that the person has in the space. */
  leave(space: PresenceSpace, userId: string, sessionId: string | null): Promise<{ hasLeft: boolean }>;
  /** @returns `swept`: how many stays were taken out. */
  sweep(space: PresenceSpace): Promise<{ swept: number; silent: string[] }>;
  /** @param after userId behind which to go on, '' for the beginning. */
  list(
    space: PresenceSpace,
    page: { after: string; limit: number },
  ): Promise<{ people: ListedPerson[]; next: string | null; silent: string[] }>;
  clear(space: PresenceSpace): Promise<void>;
}

/** A person who has joined a space or left it. `time_out`: they left by their silence. */
export interface PresenceChange extends PresenceSpace {
  userId: string;
  event: 'join' | 'leave' | 'time_out';
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

  readonly #onChange: (change: PresenceChange) => void;

  /** @param onChange called by the process that notices a change, once a change; not for an erased person or a deleted space */
  constructor(store: PresenceStore, onChange: (change: PresenceChange) => void = () => undefined) {
    this.#store = store;
    this.#onChange = onChange;
  }

  /** Notes that the session continues, unless it has ended. It also removes sessions of the space that were silent for too long. */
  async touch(stay: Stay): Promise<void> {
    const { hasJoined, silent } = await this.#store.touch(stay);
    const { tenantId, spaceId, userId } = stay;
    this.#tellSilent(stay, silent);
    if (hasJoined) this.#onChange({ tenantId, spaceId, userId, event: 'join' });
  }

  /** Ends the stay for good: what is still heard of it does not bring it back. */
  async leave({ userId, sessionId, ...space }: Stay): Promise<void> {
    const { hasLeft } = await this.#store.leave(space, userId, sessionId);
    if (hasLeft) this.#onChange({ ...space, userId, event: 'leave' });
  }

  /** Ends all stays of a person in the space. */
  async leaveWhole({ userId, ...space }: PresenceSpace & { userId: string }): Promise<void> {
    await this.#store.leave(space, userId, null);
  }

  /** Takes out what was silent for too long, and publishes it. @returns how many stays that were. */
  async sweep(space: PresenceSpace): Promise<number> {
    const { swept, silent } = await this.#store.sweep(space);
    this.#tellSilent(space, silent);
    return swept;
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
    const { people, next, silent } = await this.#store.list(space, page);
    this.#tellSilent(space, silent);
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

  #tellSilent({ tenantId, spaceId }: PresenceSpace, silent: readonly string[]): void {
    for (const userId of silent) this.#onChange({ tenantId, spaceId, userId, event: 'time_out' });
  }
}

function toTime(ms: number): string {
  return new Date(ms).toISOString();
}
