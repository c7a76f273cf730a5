import { AppError } from '../world/errors.ts';
import type { ChatRule } from '../world/types.ts';

const BACKLOG_RETRY_SECONDS = 5;
const BACKLOG_UNITS = { bytes: 'bytes', entries: 'entries', age: 'ms of age' } as const;

/** Of an append beyond a principal's budget in a space. */
export function overBudget(
  { kind, retryAfterMs }: { kind: 'requests' | 'updates' | 'messages'; retryAfterMs: number },
  {
    requestsPerMinute,
    updatesPerMinute,
    messagesPerMinute,
  }: { requestsPerMinute: number; updatesPerMinute: number; messagesPerMinute: number },
): AppError {
  const seconds = Math.max(1, Math.ceil(retryAfterMs / 1_000));
  const max = { requests: requestsPerMinute, updates: updatesPerMinute, messages: messagesPerMinute }[kind];
  return new AppError('rate_limited', `At most ${max} ${kind} in 60 seconds; the next in ${seconds} s.`, {
    retryAfterSeconds: seconds,
  });
}

/** Of a message in a space whose `settings.chat` is `rule`. */
export function chatRefused(rule: ChatRule): AppError {
  return new AppError(
    'forbidden',
    rule === 'off'
      ? 'Chat is off in this space.'
      : `Only a session with the role "${rule}" or higher can post messages in this space.`,
  );
}

/** Of an append to a space whose log is too far ahead of Postgres; `actual` and `max` in bytes, entries or milliseconds. */
export function backlogFull({
  kind,
  actual,
  max,
}: {
  kind: 'bytes' | 'entries' | 'age';
  actual: number;
  max: number;
}): AppError {
  return new AppError(
    'backlog_full',
    `The space has ${actual} ${BACKLOG_UNITS[kind]} not committed yet, and may have ${max}: Postgres is behind.`,
    { retryAfterSeconds: BACKLOG_RETRY_SECONDS },
  );
}

/** Of a write to a space with as many spilled requests as it may have. */
export function spillFull(): AppError {
  return new AppError('backlog_full', 'Too many writes of this space wait for Redis, which is away.', {
    retryAfterSeconds: BACKLOG_RETRY_SECONDS,
  });
}

/** Of a request under the key of another one. */
export function keyReused(): AppError {
  return new AppError(
    'idempotency_key_reused',
    'The Idempotency-Key, or the id of a message, was used before with another body. Use a new one for each request.',
  );
}
