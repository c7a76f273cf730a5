import type { RedisClient } from './client.ts';
import { type CopyKind, matchCopyKeys, readCopyKind } from './keys.ts';
import { readCount, readList, readText } from './log-reply.ts';

/** The number of removed keys, by kind. */
export type ClearedCopies = Record<CopyKind, number>;

export interface ClearOptions {
  /** Null: of all spaces and tenants. */
  space: { tenantId: string; spaceId: string } | null;
  signal: AbortSignal;
  /** @param scanned keys of the database that were looked at, about. */
  onProgress: (cleared: Readonly<ClearedCopies>, scanned: number) => void;
}

/** Keys that one SCAN looks at, about. */
const SCAN_KEYS = 1_000;

/**
 * Removes what is only a copy: cached values, world states, snapshots. Two commands for about every thousand keys of the
 * database, and none of them blocks others. Copies that are written meanwhile may be removed or not.
 * @throws store_unavailable
 */
export async function clearCopies(
  redis: RedisClient,
  { space, signal, onProgress }: ClearOptions,
): Promise<ClearedCopies> {
  const cleared: ClearedCopies = { values: 0, worldStates: 0, snapshots: 0 };
  let cursor = '';
  for (let scanned = SCAN_KEYS; cursor !== '0' && !signal.aborted; scanned += SCAN_KEYS) {
    const scan = ['MATCH', matchCopyKeys(space), 'COUNT', String(SCAN_KEYS)];
    const [next, found] = readList(await redis.command('SCAN', cursor || '0', ...scan));
    for (const [kind, copies] of groupCopies(readList(found).map(readText)))
      cleared[kind] += readCount(await redis.command('UNLINK', ...copies));
    onProgress(cleared, scanned);
    // A number over one way, its digits over the other.
    cursor = String(next);
  }
  return cleared;
}

function groupCopies(keys: readonly string[]): Map<CopyKind, string[]> {
  const groups = new Map<CopyKind, string[]>();
  for (const key of keys) {
    const kind = readCopyKind(key);
    if (kind !== null) groups.set(kind, [...(groups.get(kind) ?? []), key]);
  }
  return groups;
}
