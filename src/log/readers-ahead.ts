import { LRUCache } from 'lru-cache';
import { nameOf } from './batch-sizes.ts';
import type { DrainStore, LogAddress, LogStore, ReaderAhead } from './log-stores.ts';

/** Milliseconds between two readers of one space that Postgres is asked about. */
const ASKED_MS = 60_000;
/** Spaces of which a process remembers when it asked. */
const SPACES_MAX = 10_000;

export type NoteAhead = (address: LogAddress, ahead: ReaderAhead) => Promise<void>;

/**
 * Notes readers that are ahead of a log: acknowledged writes were lost, or the reader is wrong. A reader may name what it
 * likes, so its word changes nothing but a row of `incidents`: see note_reader_ahead. Where Postgres is ahead of the log too,
 * the next command breaks the log. The promise never rejects.
 */
export function createNoteAhead(
  postgres: Pick<DrainStore, 'noteReaderAhead'>,
  redis: Pick<LogStore, 'noteDurable'>,
  { now, onFailure }: { now: () => number; onFailure: (address: LogAddress, cause: unknown) => void },
): NoteAhead {
  const askedMs = new LRUCache<string, number>({ max: SPACES_MAX });
  return async (address, ahead) => {
    const name = nameOf(address);
    if (now() - (askedMs.get(name) ?? Number.NEGATIVE_INFINITY) < ASKED_MS) return;
    askedMs.set(name, now());
    try {
      const noted = await postgres.noteReaderAhead(address, ahead);
      if (noted !== null) redis.noteDurable(address, ahead.incarnation, noted.cursor);
    } catch (cause) {
      onFailure(address, cause);
    }
  };
}
