import { WriteQueued } from '../../src/persistence/world-writes.ts';
import type { AppContext } from './context.ts';
import { answerAccepted, writeDurability } from './durability.ts';
import { applyWish, readPrefer } from './prefer.ts';

/** A write, or the answer that the log has it: the caller did not want to wait for the commit, or it took too long. */
export async function unlessQueued<T>(
  c: AppContext,
  write: (queues: boolean) => Promise<T>,
): Promise<T | Response> {
  const wish = readPrefer(c);
  try {
    const written = await write(wish === 'respond-async');
    writeDurability(c, 'committed');
    return written;
  } catch (error) {
    if (!(error instanceof WriteQueued)) throw error;
    if (wish === 'respond-async') applyWish(c, wish);
    return answerAccepted(c, error);
  }
}
