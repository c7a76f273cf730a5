import { expect, it } from 'vitest';
import type { DrainReport } from '../log/drain.ts';
import { drainSpaces } from './drain-spaces.ts';

const SPACE = { tenantId: 't', spaceId: 's' };
const OTHER = { tenantId: 't', spaceId: 'z' };

/** Drains that report these in turn, and the lines that are shown meanwhile. */
function makeDeps(reports: Partial<DrainReport>[], stop = new AbortController()) {
  const lines: string[] = [];
  const progress = {
    note: (line: string) => void lines.push(line),
    stop: () => undefined,
    startBytes: () => ({ update: () => undefined, finish: () => undefined }),
    startCount: () => ({ update: () => undefined, finish: () => undefined }),
  };
  const drain = {
    async drainSpace(): Promise<DrainReport> {
      const report = reports.shift();
      if (reports.length === 0) stop.abort();
      return { status: 'drained', operations: 1_000, entries: 10, batches: 1, seq: 1, ...report };
    },
  };
  return { drain, around: { progress, signal: stop.signal }, lines };
}

it('goes on with a space until nothing is left of it, and shows how far it is', async () => {
  const { drain, around, lines } = makeDeps([{ status: 'continues' }, {}, { status: 'unknown_space' }]);
  expect(await drainSpaces(drain, [SPACE, OTHER], around)).toEqual({
    spaces: 2,
    operations: 3_000,
    entries: 30,
    batches: 3,
    left: [],
  });
  expect(lines).toEqual([
    't s (1 of 2): 1,000 operations',
    't s (1 of 2): 2,000 operations',
    't z (2 of 2): 1,000 operations',
  ]);
});

it('reports entries that are left in a stuck space, and the spaces that it did not reach', async () => {
  const { drain, around } = makeDeps([{ status: 'relieved', operations: 0, entries: 0, batches: 0 }]);
  expect((await drainSpaces(drain, [SPACE, OTHER], around)).left).toEqual([
    { ...SPACE, reason: 'another drain is at it' },
    { ...OTHER, reason: 'interrupted' },
  ]);
});
