import { AppError } from '../../src/world/errors.ts';

/**
 * Resolves as `work` does, or rejects after `timeoutMs`: what hangs must not hang the answer.
 * @param createError default store_unavailable
 */
export async function within<T>(
  timeoutMs: number,
  work: Promise<T>,
  createError = () => new AppError('store_unavailable', `A store did not answer within ${timeoutMs} ms.`),
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(createError()), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The same, with what a store's absence makes of it: null. Other failures are bugs and go on. */
export async function withinOrNull<T>(timeoutMs: number, work: Promise<T>): Promise<T | null> {
  try {
    return await within(timeoutMs, work);
  } catch (error) {
    if (error instanceof AppError && error.code === 'store_unavailable') return null;
    throw error;
  }
}
