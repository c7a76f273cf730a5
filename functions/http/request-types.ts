import type { Role, Scope } from '../../src/world/types.ts';

/** Where this request stands in a trace, as W3C Trace Context has it. */
export interface Trace {
  /** 32 hex digits: the caller's, or new ones. */
  traceId: string;
  /** 16 hex digits of this request's own: the parent of what it asks of others. */
  spanId: string;
  /** Two hex digits; the last bit says that the caller records the trace. */
  flags: string;
}

/** What of the path must be the session's own: its space, its person (the id of the path), or itself (the same). */
export type Own = 'space' | 'user' | 'session';

/** Who may use a route: the scope that a key needs; where sessions are served too, the least role of one, and what must be its own. */
export type Rule = readonly [key: Scope] | readonly [key: Scope, session: Role, own: Own];
