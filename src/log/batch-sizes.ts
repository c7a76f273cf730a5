import { LRUCache } from 'lru-cache';
import { LIMITS } from '../world/limits.ts';
import type { ReadEntry } from './log-reader.ts';
import type { LogAddress } from './log-stores.ts';

/** By what a batch becomes smaller that was too much: 5,000 entries are one after five tries. */
const SHRINK = 8;
/** Spaces whose batches are kept small. */
const SPACES_MAX = 10_000;

/**
 * How much of a space's log one batch applies. After a batch that was too large or too slow, the next one is smaller. Later batches
 * grow again.
 */
export class BatchSizes {
  readonly #entriesMax = new LRUCache<string, number>({ max: SPACES_MAX });

  /** As many entries as travel in one request, whatever is in them; one at least. */
  take(address: LogAddress, entries: readonly ReadEntry[]): readonly ReadEntry[] {
    const entriesMax = this.#entriesMax.get(nameOf(address)) ?? LIMITS.logReadEntriesMax;
    let bytes = 0;
    const end = entries.findIndex((entry, i) => {
      bytes += entry.bytes;
      return i > 0 && (i >= entriesMax || bytes > LIMITS.batchBytesMax);
    });
    return end < 0 ? entries : entries.slice(0, end);
  }

  /** @param entries of the batch that was too much */
  shrink(address: LogAddress, entries: number): void {
    this.#entriesMax.set(nameOf(address), Math.max(1, Math.floor(entries / SHRINK)));
  }

  /** A batch went through. */
  grow(address: LogAddress): void {
    const name = nameOf(address);
    const entriesMax = this.#entriesMax.get(name);
    if (entriesMax === undefined) return;
    if (2 * entriesMax >= LIMITS.logReadEntriesMax) this.#entriesMax.delete(name);
    else this.#entriesMax.set(name, 2 * entriesMax);
  }
}

/** One string of a space's address: ids hold no blank. */
export function nameOf({ tenantId, spaceId }: LogAddress): string {
  return `${tenantId} ${spaceId}`;
}
