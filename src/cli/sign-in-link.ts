import type { Role } from '../world/types.ts';
import type { Api } from './api.ts';
import { CommandError } from './errors.ts';

export interface LinkOptions {
  /** The address of the page: the server's. */
  url: string;
  space: string;
  userId: string;
  /** Becomes the name of the person. Absent: a person who exists keeps their name. */
  name?: string | undefined;
  /** The name of a person who does not exist yet, if `name` is absent. */
  nameIfNew: string;
  role: Role;
  ttlSeconds: number;
}

export interface SignInLink {
  /** Holds a session token: a caller with the link acts as the person, until it expires. */
  link: string;
  userId: string;
  /** RFC 3339. */
  expiresAt: string;
}

/**
 * Creates a session, and the person if they are new. @returns a link that opens the space as this person
 * @throws CommandError `not_found` without such a space, `no_signing_key` if the server signs no sessions
 */
export async function createSignInLink(api: Api, options: LinkOptions): Promise<SignInLink> {
  const { url, space, userId, name, nameIfNew, role, ttlSeconds } = options;
  // First, so that a wrong name of a space creates nobody.
  if ((await api.getSpace(space)) === null)
    throw new CommandError('not_found', `there is no space ${space}`, { status: 404 });
  const known = await api.getUser(userId);
  // A PUT resets what it does not name.
  if (known === null) await api.putUser(userId, { displayName: name ?? nameIfNew });
  else if (name !== undefined && name !== known.displayName)
    await api.putUser(userId, { ...known, displayName: name });
  const session = await api.postSession({ userId, spaceId: space, role, ttlSeconds });
  if (session === null)
    throw new CommandError(
      'no_signing_key',
      'the server signs no sessions: set SESSION_SIGNING_KEY on the server, and restart it',
      { status: 501 },
    );
  // In the fragment, which browsers do not send: the token reaches no log of a server or a proxy.
  const fragment = new URLSearchParams({ space, token: session.token });
  return { link: `${url}/#${fragment}`, userId, expiresAt: session.expiresAt };
}
