/** Resolves when the work does, or after so many milliseconds. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = Number.isFinite(ms) ? setTimeout(resolve, ms) : undefined;
  await Promise.race([work, promise]);
  clearTimeout(timer);
}
