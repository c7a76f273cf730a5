import type { JsonObject } from './types.ts';

/** Something that happened, for analysts. No world depends on it. */
export interface WorldEvent {
  /** A second event of the tenant with the same id is a duplicate for an hour. */
  id?: string | undefined;
  type: string;
  spaceId?: string | null | undefined;
  userId?: string | null | undefined;
  /** RFC 3339; absent: now. */
  at?: string | undefined;
  data?: JsonObject | undefined;
}

/** The types that the product writes itself. An API key may write them too, and a session token may not. */
export const OWN_EVENT_TYPES = [
  'session.start',
  'session.end',
  'user.spawn',
  'user.leave',
  'space.created',
  'space.saved',
  'space.deleted',
  'model.uploaded',
  'media.uploaded',
] as const;
export type OwnEventType = (typeof OWN_EVENT_TYPES)[number];

/** The person of a session, and their space: the only ones that it may name in an event. */
export interface EventAuthor {
  spaceId: string;
  userId: string;
}
