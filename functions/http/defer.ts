import type { AppContext } from './context.ts';

/** Keeps work going that the answer does not wait for: in a Worker until 30 s after it, on Node until the server ends. */
export function readDefer(c: AppContext): (work: Promise<unknown>) => void {
  const { defer } = c.get('services');
  return (work) => deferBy(c, defer, work);
}

/**
 * The same for work that belongs to no answer, such as a flush of counts: the request that is under way keeps it going.
 * @param c null outside of a request
 */
export function deferBy(
  c: AppContext | null,
  defer: (work: Promise<unknown>) => void,
  work: Promise<unknown>,
): void {
  const context = readContext(c);
  if (context === null) defer(work);
  else context.waitUntil(work);
}

function readContext(c: AppContext | null): { waitUntil(work: Promise<unknown>): void } | null {
  try {
    return c?.executionCtx ?? null;
  } catch {
    // Hono throws where the runtime gives no such context.
    return null;
  }
}
