import { WriteQueued } from '../../src/persistence/world-writes.ts';
import type { AppContext } from './context.ts';
import { applyWish, readPrefer } from './prefer.ts';

/** A write, or the answer that the log has it: the caller did not want to wait for the commit, or it took too long. */
export async function unlessQueued<T>(
  c: AppContext,
  write: (queues: boolean) => Promise<T>,
): Promise<T | Response> {
  const wish = readPrefer(c);
  try {
    return await write(wish === 'respond-async');
  } catch (error) {
    if (!(error instanceof WriteQueued)) throw error;
    const { seq, accepted } = error;
    if (wish === 'respond-async') applyWish(c, wish);
    return c.json({ seq, accepted, durability: 'queued' }, 202);
  }
}
