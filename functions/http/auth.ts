import { createMiddleware } from 'hono/factory';
import { AppError } from '../../src/world/errors.ts';
import type { AppContext, AppEnv, Principal } from './context.ts';
import { checkRight, type GuardedRoute } from './roles.ts';

/** Lets a request through whose key or session has the right by the table, and gives the route its tenant's worlds. */
export function allow(route: GuardedRoute) {
  return createMiddleware<AppEnv>(async function allowed(c, next) {
    const principal = await identify(c);
    if (principal === null)
      throw new AppError(
        'unauthorized',
        'An API key or a session token is needed: Authorization: Bearer <credential>.',
      );
    checkRight(principal, route, c);
    c.set('principal', principal);
    c.set(
      'worlds',
      c.get('services').persistence.forTenant(principal.tenantId, principal.actor, {
        withinSpace: principal.kind === 'session',
      }),
    );
    await next();
  });
}

/** @returns who is asking, or null for a request without a credential. @throws unauthorized for one that is not known. */
export async function identify(c: AppContext): Promise<Principal | null> {
  const header = c.req.header('Authorization');
  if (header === undefined) return null;
  const credential = /^Bearer +([\x21-\x7e]+)$/i.exec(header)?.[1];
  const principal = credential === undefined ? null : await recognize(c, credential);
  if (principal === null) throw new AppError('unauthorized', 'The credential is not known.');
  return principal;
}

async function recognize(c: AppContext, credential: string): Promise<Principal | null> {
  const { apiKeys, sessions } = c.get('services');
  if (credential.startsWith('wk_')) {
    const key = await apiKeys.authenticate(credential);
    return key && { kind: 'key', id: key.id, tenantId: key.tenantId, actor: key.id, scopes: key.scopes };
  }
  const session = await sessions.authenticate(credential);
  if (session === null) return null;
  const { id, tenantId, userId, spaceId, role } = session;
  return { kind: 'session', id, tenantId, actor: userId, userId, spaceId, role };
}
