import { AppError } from '../../src/world/errors.ts';
import type { Role } from '../../src/world/types.ts';
import type { AppContext, Principal, SessionPrincipal } from './context.ts';
import type { Own, Rule } from './request-types.ts';

/** Lowest first: each role includes the roles before it. */
const ROLES: readonly Role[] = ['viewer', 'editor', 'owner'];

/** @throws forbidden, in the same words whether what the path names is there or not. */
export function checkRight(principal: Principal, rule: Rule, c: AppContext): void {
  const [scope] = rule;
  if (principal.kind === 'key') {
    if (!principal.scopes.includes(scope))
      throw forbidden(`This API key does not have the scope "${scope}".`);
    return;
  }
  if (rule.length === 1)
    throw forbidden('This route accepts only API keys. It does not accept session tokens.');
  const [, role, own] = rule;
  const named = own === 'space' ? c.req.param('space') : c.req.param('id');
  if (own !== 'any' && named !== principal[OWN[own]])
    throw forbidden(`This session token gives access only to its own ${own}.`);
  if (ROLES.indexOf(principal.role) < ROLES.indexOf(role))
    throw forbidden(`This request needs the role "${role}". The session has the role "${principal.role}".`);
}

const OWN = { space: 'spaceId', user: 'userId', session: 'id' } as const satisfies Record<
  Exclude<Own, 'any'>,
  keyof SessionPrincipal
>;

function forbidden(message: string): AppError {
  return new AppError('forbidden', message);
}
