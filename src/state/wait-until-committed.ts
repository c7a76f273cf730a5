import type { LogAddress } from '../log/log-stores.ts';
import type { Defer } from '../log/space-log.ts';
import { AppError, isAway } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import type { Seq } from '../world/types.ts';
import type { StateParts } from './state-parts.ts';

/** Milliseconds that a reader waits for a drain at most. */
const WAIT_MS_MAX = 10_000;
const POLL_FIRST_MS = 5;
const POLL_MS_MAX = 50;
/** Milliseconds after which a reader drains, whoever else was elected to. */
const IMPATIENT_MS = 400;

/**
 * Waits until Postgres has the log up to `seq`, or up to where it ends now. Where Redis is away nobody knows where that is:
 * then it is not waited for. @throws state_unsettled after 10 s
 */
export async function waitUntilCommitted(
  { log, drain, options: { now, pause } }: Pick<StateParts, 'log' | 'drain' | 'options'>,
  address: LogAddress,
  { seq, defer }: { seq?: Seq; defer: Defer },
): Promise<void> {
  const beganMs = now();
  let target = seq ?? null;
  let isDraining = false;
  for (let delayMs = POLL_FIRST_MS; ; delayMs = Math.min(delayMs * 2, POLL_MS_MAX)) {
    let ends: { last: Seq | null; oldestSeq: Seq | null };
    try {
      ends = await log.readEnds(address);
    } catch (error) {
      if (isAway(error)) return;
      throw error;
    }
    target ??= ends.last;
    if (target === null || ends.oldestSeq === null || ends.oldestSeq > target) return;
    const waitedMs = now() - beganMs;
    if (waitedMs >= WAIT_MS_MAX)
      throw new AppError('state_unsettled', 'What was written last is not in the database yet.', {
        retryAfterSeconds: 1,
      });
    if (waitedMs >= IMPATIENT_MS && !isDraining) {
      isDraining = true;
      const end = () => {
        isDraining = false;
      };
      defer(drain.run(address, { token: null, budgetMs: LIMITS.drainMsMax }).then(end, end));
    }
    await pause(delayMs);
  }
}
