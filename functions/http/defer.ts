import type { AppContext } from './context.ts';

/** Keeps work going that the answer does not wait for: in a Worker until 30 s after it, on Node until the server ends. */
export function readDefer(c: AppContext): (work: Promise<unknown>) => void {
  const { defer } = c.get('services');
  return (work) => {
    // Hono throws where the runtime gives no such context.
    let context: { waitUntil(work: Promise<unknown>): void } | null = null;
    try {
      context = c.executionCtx;
    } catch {
      context = null;
    }
    if (context === null) defer(work);
    else context.waitUntil(work);
  };
}
