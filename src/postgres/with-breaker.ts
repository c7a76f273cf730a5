import { Breaker, Refused } from '../helpers/breaker.ts';
import { AppError, isAway } from '../world/errors.ts';
import { LIMITS } from '../world/limits.ts';
import type { Postgres } from './client.ts';
import { hasSqlState, TooManyWaiting } from './errors.ts';

/** A Postgres whose transactions fail immediately while it is away, so that nobody waits for it and no queue grows. */
export interface GuardedPostgres extends Postgres {
  /** Milliseconds since 1970 at which transactions began to be refused because Postgres is away; null: they are not. */
  readonly awaySinceMs: number | null;
}

export function withBreaker(postgres: Postgres): GuardedPostgres {
  const breaker = new Breaker({
    failuresMax: LIMITS.storeFailuresMax,
    probeMs: LIMITS.storeProbeMs,
    slowMs: LIMITS.storeSlowMs,
    isOutage: isUnreachable,
  });
  /** Why transactions are refused. */
  let lastFailure: AppError | undefined;
  return {
    async inTenant(...args) {
      try {
        return await breaker.run(
          () => postgres.inTenant(...args),
          () => postgres.ping(),
        );
      } catch (error) {
        if (isUnreachable(error)) lastFailure = error;
        throw error instanceof Refused ? repeat(lastFailure) : error;
      }
    },
    // Asks always, so that `/readyz` tells how it is now.
    ping: () => breaker.ask(() => postgres.ping()),
    get awaySinceMs() {
      return breaker.awaySinceMs;
    },
    close: () => postgres.close(),
  };
}

/** Whether Postgres did not answer. An error with a SQLSTATE is an answer, except of a server that starts or ends. */
function isUnreachable(error: unknown): error is AppError {
  if (error instanceof TooManyWaiting) return false;
  return isAway(error) && (!hasSqlState(error) || hasSqlState(error, /^(08|57P0[123])/));
}

/** A refused transaction was not begun, whatever became of the last one. */
function repeat(failure: AppError | undefined): AppError {
  return new AppError('store_unavailable', 'Postgres does not answer now.', {
    cause: failure,
    needsOperator: failure?.needsOperator ?? false,
    retryAfterSeconds: failure?.retryAfterSeconds ?? 2,
  });
}
