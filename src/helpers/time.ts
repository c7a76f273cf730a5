/** Resolves after `ms` milliseconds, or when the signal aborts. Both end the timer. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Settles as `work` does, or rejects after `ms` milliseconds with the error of `createError`. */
export async function withTimeout<T>(
  ms: number,
  work: Promise<T>,
  createError = () => new Error('too late'),
): Promise<T> {
  let stop = () => {};
  const late = new Promise<never>((_, reject) => {
    stop = startTimer(ms, () => reject(createError()));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    stop();
  }
}

/** Calls `run` once after `ms` milliseconds. @returns a function that cancels the call. */
export function startTimer(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
