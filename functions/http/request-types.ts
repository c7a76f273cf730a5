import type { Role, Scope } from '../../src/world/types.ts';

/** The place of this request in a trace, as W3C Trace Context defines it. */
export interface Trace {
  /** 32 hex digits: the caller's, or new ones. */
  traceId: string;
  /** 16 hex digits of this request: the parent of its calls to others. */
  spanId: string;
  /** Two hex digits; the last bit says that the caller records the trace. */
  flags: string;
}

/**
 * The part of the path that must belong to the session: its space, its person (the id of the path), or the session itself. `any`: the
 * path names no such part.
 */
export type Own = 'space' | 'user' | 'session' | 'any';

/** The rights that a route needs: the scope of a key. If sessions may use it, also their lowest role and their own part of the path. */
export type Rule = readonly [key: Scope] | readonly [key: Scope, session: Role, own: Own];
