import { createMiddleware } from 'hono/factory';
import { AppError } from '../../src/world/errors.ts';
import type { Scope } from '../../src/world/types.ts';
import type { AppContext, AppEnv, Principal } from './context.ts';

/** Lets a request through that has a known key with the scope, and gives the route its tenant's worlds. */
export function allow(scope: Scope) {
  return createMiddleware<AppEnv>(async function allowed(c, next) {
    const principal = await identify(c);
    if (principal === null)
      throw new AppError('unauthorized', 'An API key is needed: Authorization: Bearer <key>.');
    requireScope(principal, scope);
    c.set('principal', principal);
    c.set('worlds', c.get('services').persistence.forTenant(principal.tenantId, principal.actor));
    await next();
  });
}

/** @throws forbidden */
export function requireScope(principal: Principal, scope: Scope): void {
  if (!principal.scopes.includes(scope))
    throw new AppError('forbidden', `This API key lacks the scope "${scope}".`);
}

/** @returns who is asking, or null for a request without a credential. @throws unauthorized for one that is not known. */
export async function identify(c: AppContext): Promise<Principal | null> {
  const header = c.req.header('Authorization');
  if (header === undefined) return null;
  const credential = /^Bearer +([\x21-\x7e]+)$/i.exec(header)?.[1];
  const key = credential === undefined ? null : await c.get('services').apiKeys.authenticate(credential);
  if (key === null) throw new AppError('unauthorized', 'The credential is not known.');
  return { tenantId: key.tenantId, actor: key.id, scopes: key.scopes };
}
