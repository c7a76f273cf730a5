import { isAway } from '../world/errors.ts';
import type { DrainStore, FindCursor } from './log-stores.ts';

/** Milliseconds that Postgres may take: writes wait for it once, and go on without. */
const FIND_MS_MAX = 1_000;
/** Milliseconds for which a Postgres that did not answer is not asked again. */
const AWAY_MS = 5_000;

/** For the comparison of logs with Postgres. */
export function createFindCursor(
  postgres: Pick<DrainStore, 'loadCursor'>,
  { now, pause }: { now: () => number; pause: (ms: number, signal?: AbortSignal) => Promise<void> },
): FindCursor {
  let awayUntilMs = Number.NEGATIVE_INFINITY;
  return async (address, incarnation) => {
    if (now() < awayUntilMs) return 'away';
    const waiting = new AbortController();
    try {
      const late = pause(FIND_MS_MAX, waiting.signal).then(() => 'late' as const);
      const known = await Promise.race([postgres.loadCursor(address), late]);
      if (known !== 'late') return known?.incarnation === incarnation ? known.cursor : null;
    } catch (error) {
      if (!isAway(error)) throw error;
    } finally {
      waiting.abort();
    }
    awayUntilMs = now() + AWAY_MS;
    return 'away';
  };
}
