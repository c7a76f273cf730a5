import { AppError } from '../../src/world/errors.ts';
import type { Role } from '../../src/world/types.ts';
import type { AppContext, Principal, SessionPrincipal } from './context.ts';
import type { Own, Rule } from './request-types.ts';

/** Lowest first: each may do what those before it may. */
const ROLES: readonly Role[] = ['viewer', 'editor', 'owner'];

/** @throws forbidden, in the same words whether what the path names is there or not. */
export function checkRight(principal: Principal, rule: Rule, c: AppContext): void {
  const [scope] = rule;
  if (principal.kind === 'key') {
    if (!principal.scopes.includes(scope)) throw forbidden(`This API key lacks the scope "${scope}".`);
    return;
  }
  if (rule.length === 1) throw forbidden('This is for API keys alone, not for session tokens.');
  const [, role, own] = rule;
  const named = own === 'space' ? c.req.param('space') : c.req.param('id');
  if (named !== principal[OWN[own]]) throw forbidden(`A session token is good for its own ${own} alone.`);
  if (ROLES.indexOf(principal.role) < ROLES.indexOf(role))
    throw forbidden(`This session has the role "${principal.role}"; the role "${role}" is needed.`);
}

const OWN = { space: 'spaceId', user: 'userId', session: 'id' } as const satisfies Record<
  Own,
  keyof SessionPrincipal
>;

function forbidden(message: string): AppError {
  return new AppError('forbidden', message);
}
