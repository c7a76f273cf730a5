import * as z from 'zod';
import { readCursor, writeCursor } from '../world/cursor.ts';
import { AppError, notFound } from '../world/errors.ts';
import { check, checkId, checkPageLimit, timeSchema } from '../world/schemas.ts';
import type { ApiKey, Page, Scope } from '../world/types.ts';
import { KnownCredentials } from './known-credentials.ts';

/** The part of a database that ApiKeys needs. */
export interface ApiKeyStore {
  ensureTenant(tenantId: string): Promise<void>;
  /** @returns null where the tenant is not there. */
  insertKey(key: NewKey): Promise<ApiKey | null>;
  /** @param secretSha256 lower-case hex. The tenant is set before the lookup, so row security holds for it too. */
  findKey(tenantId: string, secretSha256: string): Promise<ApiKey | null>;
  listKeys(tenantId: string, limit: number, after: string): Promise<ApiKey[]>;
  /** @returns false where there is no such key; revoking twice is the same as once. */
  revokeKey(tenantId: string, id: string): Promise<boolean>;
}

export interface NewKey {
  tenantId: string;
  id: string;
  secretSha256: string;
  scopes: readonly Scope[];
  expiresAt: string | null;
}

/** A key as it is given out, the only time its secret is seen. */
export type IssuedKey = ApiKey & { secret: string };

export const issueSchema = z.strictObject({
  scopes: z
    .array(z.enum(['read', 'write', 'admin']))
    .min(1, 'must name at least one scope')
    .transform((scopes) => [...new Set(scopes)]),
  expiresAt: timeSchema.nullable().default(null),
});

/** `wk_<tenant>_<secret>`; the secret is 32 random bytes in base64url, so its own `_` are no matter. */
const CREDENTIAL = /^wk_((?!\.+_)[A-Za-z0-9._:-]{1,128})_[A-Za-z0-9_-]{43}$/;

export interface ApiKeyOptions {
  /** Milliseconds since 1970. */
  now: () => number;
  /** For how long a key once found is taken without asking again: so long a key revoked elsewhere may still serve. */
  cacheMs: number;
}

/** The credentials of servers. Only the SHA-256 of a secret is stored anywhere. */
export class ApiKeys {
  readonly #store: ApiKeyStore;
  readonly #now: () => number;
  /** By credential. */
  readonly #known: KnownCredentials<ApiKey>;

  constructor(store: ApiKeyStore, { now, cacheMs }: ApiKeyOptions) {
    this.#store = store;
    this.#now = now;
    this.#known = new KnownCredentials({ now, cacheMs, isValid });
  }

  /** Gives out a key. @param input `{scopes, expiresAt?}`. @throws not_found for an unknown tenant. */
  async issue(tenantId: string, input: unknown): Promise<IssuedKey> {
    const { scopes, expiresAt } = check(issueSchema, input);
    if (expiresAt !== null && Date.parse(expiresAt) <= this.#now())
      throw new AppError('validation_failed', 'The input is not valid.', {
        errors: [{ path: '/expiresAt', message: 'must be in the future' }],
      });
    const secret = `wk_${checkId(tenantId, '/tenantId')}_${toBase64Url(crypto.getRandomValues(new Uint8Array(32)))}`;
    const secretSha256 = await sha256Hex(secret);
    const id = `key_${secretSha256.slice(0, 16)}`;
    const key = await this.#store.insertKey({ tenantId, id, secretSha256, scopes, expiresAt });
    if (key === null) throw notFound('this tenant');
    return { ...key, secret };
  }

  /** Makes the tenant where it is new, then gives out a key: how a deployment's first key is made. */
  async issueFirst(tenantId: string, input: unknown): Promise<IssuedKey> {
    check(issueSchema, input);
    await this.#store.ensureTenant(checkId(tenantId, '/tenantId'));
    return this.issue(tenantId, input);
  }

  /**
   * @param beforeLookup called with the tenant that the credential names, before the database is asked about one that was
   * never good here; its error goes on.
   * @returns whose credential this is, or null: unknown, revoked and expired look the same.
   */
  async authenticate(
    credential: string,
    beforeLookup?: (named: { tenantId: string }) => void,
  ): Promise<ApiKey | null> {
    const tenantId = CREDENTIAL.exec(credential)?.[1];
    if (tenantId === undefined) return null;
    return this.#known.find(
      credential,
      async () => this.#store.findKey(tenantId, await sha256Hex(credential)),
      () => beforeLookup?.({ tenantId }),
    );
  }

  async list(
    tenantId: string,
    page: { limit?: string | undefined; cursor?: string | undefined },
  ): Promise<Page<ApiKey>> {
    const limit = checkPageLimit(page.limit);
    const keys = await this.#store.listKeys(tenantId, limit + 1, readCursor(page.cursor));
    const more = keys.length > limit;
    const items = more ? keys.slice(0, limit) : keys;
    return { items, nextCursor: more ? writeCursor(items.at(-1)?.id ?? '') : null };
  }

  /** @throws not_found where the tenant has no such key. */
  async revoke(tenantId: string, id: string): Promise<void> {
    if (!(await this.#store.revokeKey(tenantId, checkId(id, '/id')))) throw notFound('this API key');
    this.#known.forget((key) => key.tenantId === tenantId && key.id === id);
  }
}

function isValid({ expiresAt, revokedAt }: ApiKey, now: number): boolean {
  return revokedAt === null && (expiresAt === null || Date.parse(expiresAt) > now);
}

async function sha256Hex(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function toBase64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}
