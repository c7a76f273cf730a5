import type { SpillStore } from '../log/spill-store.ts';
import type { Postgres } from './client.ts';
import {
  burySpilled,
  findSpilled,
  keepSpilled,
  listSpilled,
  listSpilledSpaces,
  noteSpilledAppended,
  noteSpilledSent,
  removeSpilled,
} from './operations/spill.ts';

/** The requests that wait for Redis, in Postgres. */
export function createSpillStore(postgres: Postgres): SpillStore {
  return {
    keep: (...args) => keepSpilled(postgres, ...args),
    find: (...args) => findSpilled(postgres, ...args),
    list: (...args) => listSpilled(postgres, ...args),
    noteSent: (...args) => noteSpilledSent(postgres, ...args),
    noteAppended: (...args) => noteSpilledAppended(postgres, ...args),
    remove: (...args) => removeSpilled(postgres, ...args),
    bury: (...args) => burySpilled(postgres, ...args),
    listSpaces: (...args) => listSpilledSpaces(postgres, ...args),
  };
}
