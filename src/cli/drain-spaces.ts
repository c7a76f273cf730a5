import { countOf, showCount } from '../helpers/counts.ts';
import type { Drain, DrainReport } from '../log/drain.ts';
import type { LogAddress } from '../log/log-stores.ts';
import { AppError } from '../world/errors.ts';
import type { Progress } from './progress.ts';

/** The drained spaces, and the spaces that are left. */
export interface DrainedSpaces {
  spaces: number;
  operations: number;
  entries: number;
  batches: number;
  /** Spaces with something still to drain, and why. */
  left: (LogAddress & { reason: string })[];
}

/** Milliseconds between two lines about one space. */
const ROUND_MS = 2_000;

/** Drains one space after the other, completely. A failure in one does not stop the others. */
export async function drainSpaces(
  drain: Pick<Drain, 'drainSpace'>,
  spaces: readonly LogAddress[],
  { progress, signal }: { progress: Progress; signal: AbortSignal },
): Promise<DrainedSpaces> {
  const sum: DrainedSpaces = { spaces: spaces.length, operations: 0, entries: 0, batches: 0, left: [] };
  for (const [i, { tenantId, spaceId }] of spaces.entries()) {
    const label = `${tenantId} ${spaceId} (${showCount(i + 1)} of ${showCount(spaces.length)})`;
    let drained = 0;
    const reason = await drainAll(drain, { tenantId, spaceId }, signal, (report) => {
      sum.operations += report.operations;
      sum.entries += report.entries;
      sum.batches += report.batches;
      drained += report.operations;
      progress.note(`${label}: ${countOf(drained, 'operation')}`);
    });
    if (reason === null) continue;
    sum.left.push({ tenantId, spaceId, reason });
    progress.note(`${label}: ${reason}`);
  }
  return sum;
}

/** @returns why something is left, or null. */
async function drainAll(
  drain: Pick<Drain, 'drainSpace'>,
  address: LogAddress,
  signal: AbortSignal,
  onRound: (report: DrainReport) => void,
): Promise<string | null> {
  try {
    while (!signal.aborted) {
      const report = await drain.drainSpace(address, { budgetMs: ROUND_MS });
      onRound(report);
      if (report.status === 'drained' || report.status === 'unknown_space') return null;
      if (report.batches === 0) return 'another drain is at it';
    }
    return 'interrupted';
  } catch (error) {
    if (error instanceof AppError) return error.message;
    throw error;
  }
}
