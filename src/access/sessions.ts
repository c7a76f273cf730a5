import { decodeProtectedHeader, errors, jwtVerify, SignJWT } from 'jose';
import { uuidv7 } from 'uuidv7';
import * as z from 'zod';
import { withTimeout } from '../helpers/time.ts';
import type { Presence, Stay } from '../live/presence.ts';
import { AppError, notFound } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import { check, checkId, idSchema } from '../world/schemas.ts';
import type { Role, Session } from '../world/types.ts';
import { KnownCredentials } from './known-credentials.ts';

/** The part of a database that Sessions needs. */
export interface SessionStore {
  /**
   * Opens a stay and makes the person a member. @param session its role is from now on the member's; null: the role the
   * member has, or viewer for a new one. @returns the stay's role, or the missing thing.
   */
  mintSession(session: NewSession): Promise<Role | 'unknown_space' | 'unknown_person'>;
  /** @returns the stay, ended or not; null where there is none, or its space is deleted. */
  findSession(tenantId: string, id: string): Promise<Session | null>;
  /** Notes that the person is still there. @param at RFC 3339. @returns null where no such stay is open at that time. */
  touchSession(tenantId: string, id: string, at: string): Promise<StayPlace | null>;
  /**
   * @returns null where there is no such stay; ending twice is the same as once. `seconds`: the length of a stay that this call ended, up
   * to its last heartbeat if it had expired; null: it had ended before.
   */
  endSession(
    tenantId: string,
    id: string,
    at: string,
  ): Promise<(StayPlace & { seconds: number | null }) | null>;
  /** @returns the spaces in which the person has a stay that is open at that time, so many at most. */
  listSpacesOf(tenantId: string, userId: string, at: string, limit: number): Promise<string[]>;
}

/** Whose stay it is, and where. */
export type StayPlace = Pick<Stay, 'spaceId' | 'userId'>;

/** The messages of Sessions about people who join and leave. */
export type SessionPresence = Pick<Presence, 'touch' | 'leave' | 'leaveWhole' | 'clear'>;

export interface NewSession {
  tenantId: string;
  id: string;
  spaceId: string;
  userId: string;
  role: Role | null;
  createdAt: string;
  expiresAt: string;
}

/** A stay as it is given out, the only time its token is seen. */
export interface IssuedSession {
  id: string;
  token: string;
  expiresAt: string;
}

/** The keys that sign tokens. Both verify. While the older one is set, the tokens that it signed are accepted. */
export interface SigningKeys {
  key: string;
  previousKey: string | null;
}

export const ROLES = ['viewer', 'editor', 'owner'] as const satisfies readonly Role[];

export const sessionInputSchema = z.strictObject({
  userId: idSchema,
  spaceId: idSchema,
  role: z.enum(ROLES).optional(),
  ttlSeconds: z
    .number()
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .max(LIMITS.sessionSecondsMax, `must be at most ${LIMITS.sessionSecondsMax}`)
    .default(LIMITS.sessionSecondsDefault),
});

const claimsSchema = z.object({ tenant: idSchema, sub: idSchema, space: idSchema, jti: idSchema });

const ISSUER = 'worldkeep';
const AUDIENCE = 'worldkeep:session';
const ALGORITHM = 'HS256';
/** Three parts of base64url. Whatever else a credential is, it is no token. */
const TOKEN = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
/** Characters above which nothing is a token of ours: three ids of 128 characters are 1,100 of them. */
const TOKEN_LENGTH_MAX = 2_048;
/** Milliseconds that an answer waits for presence to be told. */
const PRESENCE_TIMEOUT_MS = 500;
/** Spaces in which the presence of an erased person ends immediately. In others it ends by silence. */
const ERASED_SPACES_MAX = 1_000;

export interface SessionOptions {
  /** Milliseconds since 1970. */
  now: () => number;
  /** For how long a session once found is taken without asking again: so long one ended elsewhere may still serve. */
  cacheMs: number;
  /** Null: no token is minted, and none is known. */
  keys: SigningKeys | null;
  /** Null or absent: nobody is told who is there. */
  presence?: SessionPresence | null;
  /** Told once an outage why presence could not be told. */
  onPresenceAway?: (cause: unknown) => void;
  /** Called after a session has begun, and after a call has ended it. */
  onSession?: (session: EndedSession | BegunSession) => void;
}

export interface BegunSession extends Stay {
  event: 'start';
  createdAt: string;
}

export interface EndedSession extends Stay {
  event: 'end';
  /** Its length. */
  seconds: number;
}

/**
 * The credentials of people. A token (JWT) belongs to one session of one person in one space. Creating a session, or its heartbeat,
 * makes it present in its space; its end removes it. The store decides whether a session is valid, so an outage of presence changes
 * nothing else.
 */
export class Sessions {
  readonly #store: SessionStore;
  readonly #now: () => number;
  /** By `<tenant> <id>`. */
  readonly #known: KnownCredentials<Session>;
  readonly #keys: SigningKeys | null;
  readonly #presence: SessionPresence | null;
  readonly #onPresenceAway: (cause: unknown) => void;
  readonly #onSession: (session: EndedSession | BegunSession) => void;
  #isPresenceAway = false;
  #signers: Signer[] | null = null;

  constructor(
    store: SessionStore,
    {
      now,
      cacheMs,
      keys,
      presence = null,
      onPresenceAway = () => undefined,
      onSession = () => undefined,
    }: SessionOptions,
  ) {
    this.#store = store;
    this.#now = now;
    this.#known = new KnownCredentials({ now, cacheMs, isValid: isOpen });
    this.#keys = keys;
    this.#presence = presence;
    this.#onPresenceAway = onPresenceAway;
    this.#onSession = onSession;
  }

  /**
   * Opens a stay. @param input `{userId, spaceId, role?, ttlSeconds?}`.
   * @throws no_signing_key where none is configured, not_found for a space or a person that is not there.
   */
  async mint(tenantId: string, input: unknown): Promise<IssuedSession> {
    const { userId, spaceId, role, ttlSeconds } = check(sessionInputSchema, input);
    const [signer] = await this.#readSigners();
    if (signer === undefined)
      throw new AppError('no_signing_key', 'SESSION_SIGNING_KEY is not set: no session token can be signed.');
    const id = uuidv7();
    // A token tells times in whole seconds: so does the stay.
    const issuedAt = Math.floor(this.#now() / 1_000);
    const expiresAt = toTime((issuedAt + ttlSeconds) * 1_000);
    const minted = await this.#store.mintSession({
      tenantId,
      id,
      spaceId,
      userId,
      role: role ?? null,
      createdAt: toTime(issuedAt * 1_000),
      expiresAt,
    });
    if (minted === 'unknown_space') throw notFound('this space');
    if (minted === 'unknown_person') throw notFound('this person');
    const token = await new SignJWT({ tenant: tenantId, space: spaceId, role: minted })
      .setProtectedHeader({ alg: ALGORITHM, typ: 'JWT', kid: signer.kid })
      .setSubject(userId)
      .setJti(id)
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + ttlSeconds)
      .sign(signer.secret);
    const stay = { tenantId, spaceId, sessionId: id, userId };
    this.#onSession({ ...stay, event: 'start', createdAt: toTime(issuedAt * 1_000) });
    await this.#notify((presence) => presence.touch(stay));
    return { id, token, expiresAt };
  }

  /**
   * @returns whose token this is, or null: forged, expired and ended look the same. No store is asked about a token that
   * was not signed here. The store says what the session may do; the token only names the session.
   * @param beforeLookup called before the store is asked about a session that was never open here; its error goes on.
   */
  async authenticate(
    token: string,
    beforeLookup?: (named: { tenantId: string; sessionId: string }) => void,
  ): Promise<Session | null> {
    const claims = await this.#verify(token);
    if (claims === null) return null;
    const { tenant: tenantId, jti: sessionId } = claims;
    const session = await this.#known.find(
      `${tenantId} ${sessionId}`,
      () => this.#store.findSession(tenantId, sessionId),
      () => beforeLookup?.({ tenantId, sessionId }),
    );
    if (session === null || session.userId !== claims.sub || session.spaceId !== claims.space) return null;
    return session;
  }

  /** @throws not_found where no such stay is open. */
  async heartbeat(tenantId: string, id: string): Promise<void> {
    const at = toTime(this.#now());
    const place = await this.#store.touchSession(tenantId, checkId(id, '/id'), at);
    if (place === null) throw notFound('an open session with this id');
    await this.#notify((presence) => presence.touch({ tenantId, sessionId: id, ...place }));
  }

  /** @throws not_found where the tenant has no such stay. */
  async end(tenantId: string, id: string): Promise<void> {
    const ended = await this.#store.endSession(tenantId, checkId(id, '/id'), toTime(this.#now()));
    this.#known.delete(`${tenantId} ${id}`);
    if (ended === null) throw notFound('this session');
    const { seconds, ...place } = ended;
    const stay = { tenantId, sessionId: id, ...place };
    if (seconds !== null) this.#onSession({ ...stay, event: 'end', seconds });
    await this.#notify((presence) => presence.leave(stay));
  }

  /** Erases a person by `erase`, which removes their stays, and then takes none of those for found or present any longer. */
  async eraseWith<Erased>(tenantId: string, userId: string, erase: () => Promise<Erased>): Promise<Erased> {
    // Asked before: afterwards nothing says where they were.
    const spaceIds =
      this.#presence === null
        ? []
        : await this.#store.listSpacesOf(
            ...([tenantId, checkId(userId, '/id'), toTime(this.#now()), ERASED_SPACES_MAX] as const),
          );
    const erased = await erase();
    this.#known.forget((session) => session.tenantId === tenantId && session.userId === userId);
    await this.#notify((presence) =>
      Promise.all(spaceIds.map((spaceId) => presence.leaveWhole({ tenantId, spaceId, userId }))),
    );
    return erased;
  }

  /** Takes a space's sessions for found or present no longer: it has just been deleted. */
  async closeSpace(tenantId: string, spaceId: string): Promise<void> {
    this.#known.forget((session) => session.tenantId === tenantId && session.spaceId === spaceId);
    await this.#notify((presence) => presence.clear({ tenantId, spaceId }));
  }

  /** Waits only for a moment, and ignores a failure: the next heartbeat, or silence, corrects presence. */
  async #notify(notify: (presence: SessionPresence) => Promise<unknown>): Promise<void> {
    if (this.#presence === null) return;
    const told = notify(this.#presence).then(
      () => {
        this.#isPresenceAway = false;
      },
      (cause: unknown) => {
        if (!this.#isPresenceAway) this.#onPresenceAway(cause);
        this.#isPresenceAway = true;
      },
    );
    await withTimeout(PRESENCE_TIMEOUT_MS, told).catch(() => undefined);
  }

  async #verify(token: string): Promise<z.infer<typeof claimsSchema> | null> {
    if (token.length > TOKEN_LENGTH_MAX || !TOKEN.test(token)) return null;
    const signers = await this.#readSigners();
    try {
      const { kid } = decodeProtectedHeader(token);
      const signer = signers.find((known) => known.kid === kid);
      if (signer === undefined) return null;
      const { payload } = await jwtVerify(token, signer.secret, {
        algorithms: [ALGORITHM],
        issuer: ISSUER,
        audience: AUDIENCE,
        requiredClaims: ['exp', 'iat'],
        currentDate: new Date(this.#now()),
      });
      return claimsSchema.safeParse(payload).data ?? null;
    } catch (error) {
      // decodeProtectedHeader throws a TypeError if the text is not a JWT.
      if (error instanceof errors.JOSEError || error instanceof TypeError) return null;
      throw error;
    }
  }

  async #readSigners(): Promise<Signer[]> {
    const texts = this.#keys === null ? [] : [this.#keys.key, this.#keys.previousKey];
    // Kept only once it is there: on Workers no request may wait for a promise of another.
    this.#signers ??= await Promise.all(texts.filter((text) => text !== null).map(readSigner));
    return this.#signers;
  }
}

interface Signer {
  kid: string;
  secret: Uint8Array;
}

/** A key's name is made from it alone, so that every process gives it the same, and tells nothing about it. */
async function readSigner(text: string): Promise<Signer> {
  const secret = new TextEncoder().encode(text);
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(`worldkeep kid ${text}`));
  const kid = Array.from(new Uint8Array(digest, 0, 8), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return { kid, secret };
}

function isOpen({ expiresAt, endedAt }: Session, now: number): boolean {
  return endedAt === null && Date.parse(expiresAt) > now;
}

function toTime(ms: number): string {
  return new Date(ms).toISOString();
}
