import { makePlace, type Place } from '../../src/client/testing/place.ts';
import type { Target } from '../../test/http/targets.ts';

export interface Guests extends Place {
  /** A sign-in link of a person. @param url of a proxy, instead of the server */
  link(
    userId: string,
    options?: { role?: 'viewer' | 'editor' | 'owner'; ttlSeconds?: number; url?: string },
  ): Promise<string>;
}

/** A new space whose people get sign-in links. */
export async function makeGuests(target: Pick<Target, 'fetch' | 'address'>, key?: string): Promise<Guests> {
  const place = await makePlace(target, key);
  return {
    ...place,
    async link(userId, { role = 'editor', ttlSeconds = 3_600, url = place.url } = {}) {
      const token = await place.join(userId, role, ttlSeconds);
      return `${url}/#${new URLSearchParams({ space: place.space, token })}`;
    },
  };
}
