import type { EventTable } from '../events/event-stores.ts';
import type { Postgres } from './client.ts';
import { storeEvents } from './operations/store-events.ts';

/** The store of EventLog, on Postgres. */
export function createEventTable(postgres: Postgres): EventTable {
  return { storeEvents: (batch) => storeEvents(postgres, batch) };
}
