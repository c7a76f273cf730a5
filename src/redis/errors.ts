import { AppError } from '../world/errors.ts';
import { NotSent } from './not-sent.ts';
import { explainRefusal, type RedisVariables } from './refusals.ts';

/** Redis did not answer, or the answer never came. Unless it is `NotSent`, the command may have been run. */
export function createLostError(cause?: unknown): AppError {
  const outage = cause instanceof NotSent ? 'unsent' : 'lost';
  return new AppError('store_unavailable', 'Redis does not answer.', { cause, outage, retryAfterSeconds: 2 });
}

/**
 * An error reply of Redis, as an AppError. Its text stays in `cause`: it may hold written values.
 * @param text as Redis sends it: `WRONGTYPE Operation against …`
 */
export function toAppError(text: string, variables: RedisVariables): AppError {
  const cause = Object.assign(new Error(text), { name: 'RedisReplyError', code: readErrorCode(text) });
  const refusal = explainRefusal(cause, variables);
  if (refusal !== null) return refusal;
  return isMistake(text)
    ? new AppError('internal', 'Something went wrong here.', { cause })
    : new AppError('store_unavailable', 'Redis cannot serve now.', {
        cause,
        outage: servesNothing(text) ? 'unsent' : undefined,
        retryAfterSeconds: 2,
      });
}

/** Whether Redis refuses every command now, reads too. */
function servesNothing(text: string): boolean {
  return /^(LOADING|MASTERDOWN|ERR max (daily )?request)/.test(text);
}

/** `NOSCRIPT`, `WRONGTYPE`, `OOM`, …: what an error of Redis begins with. */
export function readErrorCode(text: string): string {
  return /^[A-Z]+/.exec(text)?.[0] ?? 'ERR';
}

/** Whether the command itself is wrong, so that no repeat of it can succeed; a quota used up is not that. */
function isMistake(text: string): boolean {
  if (/^ERR (max |DB capacity )/.test(text)) return false;
  return ['ERR', 'WRONGTYPE', 'NOSCRIPT', 'EXECABORT'].includes(readErrorCode(text));
}
