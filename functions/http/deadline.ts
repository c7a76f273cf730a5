import { withTimeout } from '../../src/helpers/time.ts';
import { AppError } from '../../src/world/errors.ts';

/** Resolves as `work` does, or rejects after `timeoutMs` with what `createError` makes: a hanging call must not hang the answer. */
export function within<T>(
  timeoutMs: number,
  work: Promise<T>,
  createError = () => lateStore('A store', timeoutMs),
): Promise<T> {
  return withTimeout(timeoutMs, work, createError);
}

/** The error about a store that did not answer in time. @param store its name, as a sentence begins with it */
export function lateStore(store: string, timeoutMs: number): AppError {
  return new AppError('store_unavailable', `${store} did not answer within ${timeoutMs} ms.`);
}

/** As `within`, but null when a store is away. Other failures are bugs, and are thrown on. */
export async function withinOrNull<T>(timeoutMs: number, work: Promise<T>): Promise<T | null> {
  try {
    return await within(timeoutMs, work);
  } catch (error) {
    if (error instanceof AppError && error.code === 'store_unavailable') return null;
    throw error;
  }
}
