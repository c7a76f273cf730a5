import { AppError } from '../../src/world/errors.ts';
import type { Role, Scope } from '../../src/world/types.ts';
import type { AppContext, Principal, SessionPrincipal } from './context.ts';

/** What of the path must be the session's own: its space, its person (the id of the path), or itself (the same). */
type Own = 'space' | 'user' | 'session';

/** The scope that a key needs; where sessions are served too, the least role of one, and what must be its own. */
export type Rule = readonly [key: Scope] | readonly [key: Scope, session: Role, own: Own];

/** Who may do what, every route that asks for a credential: nothing else decides it. */
export const ROLE_TABLE = {
  // Without a credential it is of the default tenant.
  'GET /health': ['read'],

  'GET /v1/spaces': ['read'],
  'GET /v1/spaces/:space': ['read', 'viewer', 'space'],
  // A session gives its space what is new, and makes none.
  'PUT /v1/spaces/:space': ['write', 'owner', 'space'],
  'DELETE /v1/spaces/:space': ['write'],
  'GET /v1/spaces/:space/state': ['read', 'viewer', 'space'],
  // A session saves no people, models or media: those are the tenant's.
  'PUT /v1/spaces/:space/state': ['write', 'owner', 'space'],
  'GET /v1/spaces/:space/statistics': ['read', 'viewer', 'space'],
  'GET /v1/spaces/:space/objects': ['read', 'viewer', 'space'],
  'GET /v1/spaces/:space/objects/:id': ['read', 'viewer', 'space'],
  'PUT /v1/spaces/:space/objects/:id': ['write', 'editor', 'space'],
  'PATCH /v1/spaces/:space/objects/:id': ['write', 'editor', 'space'],
  'DELETE /v1/spaces/:space/objects/:id': ['write', 'editor', 'space'],

  'POST /v1/spaces/:space/updates': ['write', 'editor', 'space'],
  'GET /v1/spaces/:space/changes': ['read', 'viewer', 'space'],
  'GET /v1/spaces/:space/stream': ['read', 'viewer', 'space'],
  'GET /v1/dead-letters': ['admin'],
  'POST /v1/dead-letters/:id/replay': ['admin'],
  'DELETE /v1/dead-letters/:id': ['admin'],

  'GET /v1/spaces/:space/presence': ['read', 'viewer', 'space'],
  'GET /v1/users/:id': ['read', 'viewer', 'user'],
  // A session gives its person what is new, and makes none.
  'PUT /v1/users/:id': ['write', 'viewer', 'user'],
  // Erases in all spaces of the tenant: more than a session, which has one, may do.
  'DELETE /v1/users/:id': ['write'],
  'POST /v1/sessions': ['write'],
  'POST /v1/sessions/:id/heartbeat': ['write', 'viewer', 'session'],
  'DELETE /v1/sessions/:id': ['write', 'viewer', 'session'],

  'GET /v1/keys': ['admin'],
  'POST /v1/keys': ['admin'],
  'DELETE /v1/keys/:id': ['admin'],
} as const satisfies Record<string, Rule>;

export type GuardedRoute = keyof typeof ROLE_TABLE;

/** Lowest first: each may do what those before it may. */
const ROLES: readonly Role[] = ['viewer', 'editor', 'owner'];

/** @throws forbidden, in the same words whether what the path names is there or not. */
export function checkRight(principal: Principal, route: GuardedRoute, c: AppContext): void {
  const rule: Rule = ROLE_TABLE[route];
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
