import type { LogAddress } from '../log/log-stores.ts';
import { COMMIT_WAIT_MS_MAX, pollUntilCommitted } from '../log/poll-until-committed.ts';
import type { Defer } from '../log/space-log.ts';
import { AppError, isAway } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import type { Seq } from '../world/types.ts';
import type { StateParts } from './state-parts.ts';

/**
 * Waits until Postgres has the log up to `seq`, or up to where it ends now. Where Redis is away nobody knows where that is:
 * then it is not waited for. @throws state_unsettled after 8 s; store_unavailable if Postgres is away
 * @returns `away` if Redis is
 */
export async function waitUntilCommitted(
  { log, drain, options: { now, pause } }: Pick<StateParts, 'log' | 'drain' | 'options'>,
  address: LogAddress,
  { seq, defer }: { seq?: Seq; defer: Defer },
): Promise<'committed' | 'away'> {
  let target = seq ?? null;
  /** Drains that failed because a store was away, in a row, and why. One lost answer is no outage. */
  let failures = 0;
  let outage: AppError | null = null;
  const look = async (): Promise<'committed' | 'away' | null> => {
    try {
      const { last, oldestSeq } = await log.readEnds(address);
      target ??= last;
      if (target === null || oldestSeq === null || oldestSeq > target) return 'committed';
    } catch (error) {
      if (isAway(error)) return 'away';
      throw error;
    }
    // Postgres is away, and so is the world that the caller wants to read.
    if (outage !== null && failures > 1) throw outage;
    return null;
  };
  const startDrain = () => {
    const ended = drain.run(address, { token: null, budgetMs: LIMITS.drainMsMax }).catch((error: unknown) => {
      if (!isAway(error)) return;
      failures++;
      outage = error;
    });
    defer(ended);
    return ended;
  };
  const poll = { now, pause, endMs: now() + COMMIT_WAIT_MS_MAX, look, drain: startDrain };
  const outcome = await pollUntilCommitted(poll);
  if (outcome === 'late')
    throw new AppError('state_unsettled', 'The newest writes are not in the database yet. Retry later.', {
      retryAfterSeconds: 1,
    });
  return outcome;
}
