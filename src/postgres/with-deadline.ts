import { withTimeout } from '../helpers/time.ts';
import { AppError } from '../world/errors.ts';
import type { Postgres } from './client.ts';

/**
 * A Postgres for calls that every request waits for. A transaction without an answer after `ms` milliseconds rejects. It continues, and may
 * be committed.
 */
export function withDeadline(postgres: Postgres, ms: number): Postgres {
  return {
    inTenant: (...args) =>
      withTimeout(
        ms,
        postgres.inTenant(...args),
        () =>
          new AppError('store_unavailable', `Postgres did not answer within ${ms} ms.`, {
            retryAfterSeconds: 2,
          }),
      ),
    ping: () => postgres.ping(),
    close: () => postgres.close(),
  };
}
