/** Resolves after so many milliseconds, or as soon as the signal aborts: no timer is left behind. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Resolves as `work` does, or rejects after `ms` milliseconds with what `createError` makes. */
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

/** Calls once after so many milliseconds. @returns takes it back. */
export function startTimer(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
