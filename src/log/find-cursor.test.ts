import { describe, expect, it } from 'vitest';
import { AppError } from '../world/errors.ts';
import { createFindCursor } from './find-cursor.ts';
import type { DrainStore } from './log-stores.ts';

const ADDRESS = { tenantId: 't', spaceId: 's' };
const KNOWN = { incarnation: 'i', incarnationSeq: 1, cursor: 7, isLogOpen: true };

function open(
  loadCursor: DrainStore['loadCursor'],
  pause: () => Promise<void> = () => new Promise(() => undefined),
) {
  const state = { nowMs: 0, calls: 0 };
  const find = createFindCursor(
    {
      loadCursor: (address) => {
        state.calls++;
        return loadCursor(address);
      },
    },
    { now: () => state.nowMs, pause },
  );
  return { state, find: () => find(ADDRESS, 'i') };
}

describe('[L8f] where Postgres is, for the comparison of a log', () => {
  it('is its cursor, and nothing for another incarnation or no space', async () => {
    expect(await open(async () => KNOWN).find()).toBe(7);
    expect(await open(async () => ({ ...KNOWN, incarnation: 'another' })).find()).toBeNull();
    expect(await open(async () => null).find()).toBeNull();
  });

  it.each([
    [
      'fails',
      () => Promise.reject(new AppError('store_unavailable', 'Postgres does not answer.')),
      undefined,
    ],
    ['takes over a second', () => new Promise<null>(() => undefined), async () => undefined],
  ])('is not known where Postgres %s, which is then not asked for 5 seconds', async (_, load, pause) => {
    const { state, find } = open(load, pause);
    expect([await find(), await find()]).toEqual(['away', 'away']);
    state.nowMs = 4_999;
    expect([await find(), state.calls]).toEqual(['away', 1]);
    state.nowMs = 5_000;
    expect([await find(), state.calls]).toEqual(['away', 2]);
  });

  it('passes on errors that are no outage', async () => {
    const { find } = open(() => Promise.reject(new Error('a fault')));
    await expect(find()).rejects.toThrow('a fault');
  });
});
