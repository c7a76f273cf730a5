import type { OwnEvent } from '../../src/events/own-events.ts';
import type { AppContext } from './context.ts';
import { readDefer } from './defer.ts';

/** Writes an event of the product after a success. A session’s person is its author, and a key names none. */
export function recordEvent(c: AppContext, event: OwnEvent): void {
  const principal = c.get('principal');
  const author = principal.kind === 'session' ? { userId: principal.userId } : {};
  c.get('services').ownEvents.record(principal.tenantId, { ...author, ...event }, readDefer(c));
}
