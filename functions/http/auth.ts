import { createMiddleware } from 'hono/factory';
import { AppError } from '../../src/world/errors.ts';
import type { AppContext, AppEnv, Principal } from './context.ts';
import { readDefer } from './defer.ts';
import { countStranger, refuseStranger, type Stranger } from './rate-limit.ts';
import type { Rule } from './request-types.ts';
import { checkRight } from './roles.ts';

/**
 * Lets a request through whose key or session is known, and gives the route its tenant's worlds.
 * @param options.fromQuery also accepts the credential in `access_token`, for clients that cannot set headers.
 */
export function authenticate({ fromQuery = false }: { fromQuery?: boolean } = {}) {
  return createMiddleware<AppEnv>(async function authenticated(c, next) {
    const header = c.req.header('Authorization');
    const token = fromQuery ? c.req.query('access_token') : undefined;
    const principal =
      header === undefined && token !== undefined ? await recognizeKnown(c, token) : await identify(c);
    if (principal === null)
      throw new AppError(
        'unauthorized',
        'Send an API key or a session token in the header "Authorization: Bearer <credential>".',
      );
    c.set('principal', principal);
    c.set(
      'worlds',
      c.get('services').persistence.forTenant(principal.tenantId, principal.actor, {
        requestId: c.get('requestId'),
        withinSpace: principal.kind === 'session',
        ...(principal.kind === 'session' && { role: principal.role }),
        // A person has one budget and one set of keys, however many sessions.
        principal: principal.kind === 'session' ? `u:${principal.userId}` : `k:${principal.id}`,
        defer: readDefer(c),
      }),
    );
    await next();
  });
}

/** Lets a principal through that has the right. */
export function allow(rule: Rule) {
  return createMiddleware<AppEnv>(async function allowed(c, next) {
    checkRight(c.get('principal'), rule, c);
    c.set('rule', rule);
    await next();
  });
}

/** @returns who is asking, or null for a request without a credential. @throws unauthorized for one that is not known, rate_limited. */
export async function identify(c: AppContext): Promise<Principal | null> {
  const header = c.req.header('Authorization');
  if (header === undefined) return null;
  return recognizeKnown(c, readBearer(header));
}

/** @throws unauthorized for a credential that is not known, rate_limited. */
async function recognizeKnown(c: AppContext, credential: string | undefined): Promise<Principal> {
  let stranger: Stranger | null = null;
  const beforeLookup = (named: Stranger) => {
    stranger = named;
    refuseStranger(c, named);
  };
  const principal =
    credential !== undefined && CREDENTIAL.test(credential)
      ? await recognize(c, credential, beforeLookup)
      : null;
  if (principal !== null) return principal;
  await countStranger(c, stranger);
  throw new AppError('unauthorized', 'The server does not recognize this credential.');
}

const CREDENTIAL = /^[\x21-\x7e]+$/;

function readBearer(header: string): string | undefined {
  return /^Bearer +(\S+)$/i.exec(header)?.[1];
}

/**
 * Whether the request's credential still serves on its route: asked again while its answer goes on.
 * @throws store_unavailable where that cannot be found out.
 */
export async function isStillAllowed(c: AppContext): Promise<boolean> {
  const header = c.req.header('Authorization');
  const credential = header === undefined ? c.req.query('access_token') : readBearer(header);
  const principal =
    credential === undefined
      ? null
      : await recognize(c, credential, (stranger) => refuseStranger(c, stranger));
  if (principal === null || principal.id !== c.get('principal').id) return false;
  try {
    checkRight(principal, c.get('rule'), c);
    return true;
  } catch {
    return false;
  }
}

/** @param beforeLookup called before a store is asked about a credential that was never good here; its error goes on. */
async function recognize(
  c: AppContext,
  credential: string,
  beforeLookup: (stranger: Stranger) => void,
): Promise<Principal | null> {
  const { apiKeys, sessions } = c.get('services');
  if (credential.startsWith('wk_')) {
    const key = await apiKeys.authenticate(credential, beforeLookup);
    return key && { kind: 'key', id: key.id, tenantId: key.tenantId, actor: key.id, scopes: key.scopes };
  }
  const session = await sessions.authenticate(credential, beforeLookup);
  if (session === null) return null;
  const { id, tenantId, userId, spaceId, role } = session;
  return { kind: 'session', id, tenantId, actor: userId, userId, spaceId, role };
}
