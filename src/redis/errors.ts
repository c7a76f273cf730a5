import { AppError } from '../world/errors.ts';
import { explainRefusal, type RedisVariables } from './refusals.ts';

/** Redis did not answer, or the answer never came: what was sent may have been run. */
export function createLostError(cause?: unknown): AppError {
  return new AppError('store_unavailable', 'Redis does not answer.', { cause, retryAfterSeconds: 2 });
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
    : new AppError('store_unavailable', 'Redis cannot serve now.', { cause, retryAfterSeconds: 2 });
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
