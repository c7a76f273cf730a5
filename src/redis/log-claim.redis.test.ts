import { describe, expect, it } from 'vitest';
import { ENTRY, type LogSpace, useLogs } from '../../test/redis-log.ts';
import { REDIS_WAYS } from '../../test/redis-ways.ts';

const THOUSAND = { entries: [{ ops: '[1000]', count: 1_000 }] };
const WAITS = { waits: true };
const SOON_MS = 100;
const REST_MS = 250;
const LEASE_MS = 5_000;

describe.each(REDIS_WAYS)('[D4a] who drains a space, and when, %s', (_, openWay) => {
  const { openSpace } = useLogs(openWay);
  const setDue = (space: LogSpace, msFromNow: number) =>
    space.setMeta({ due: (Date.now() + msFromNow) * 1_000 });
  const readDueMs = async (space: LogSpace) => Number((await space.meta()).due) / 1_000 - Date.now();
  const expectAbout = (actual: number | null, expected: number) =>
    expect(Math.abs((actual ?? Number.NaN) - expected)).toBeLessThan(SOON_MS);

  it.each([
    ['one operation', {}, SOON_MS],
    ['1,000 operations', THOUSAND, SOON_MS],
    ['a caller who waits', WAITS, 0],
  ])('the first append claims the drain: %s', async (_name, request, afterMs) => {
    const space = await openSpace();
    const { drainAfterMs, token } = await space.add(request);
    expect(drainAfterMs).toBe(afterMs);
    expect((await space.meta()).token).toBe(token);
  });

  it('later appends leave a claimed drain alone', async () => {
    const space = await openSpace();
    await space.add();
    expect(await space.add(THOUSAND)).toMatchObject({ drainAfterMs: null, token: '' });
  });

  it('a caller who waits takes over a drain that is not due yet', async () => {
    const space = await openSpace({ soonMs: 4_000 });
    const first = await space.add();
    const { drainAfterMs, token } = await space.add(WAITS);
    expect(drainAfterMs).toBe(0);
    expect(await space.read({ token: first.token })).toEqual({ status: 'relieved' });
    expect(await space.read({ token })).toMatchObject({ status: 'read' });
  });

  it.each([
    ['has read', async (space: LogSpace) => void (await space.read({ token: (await space.add()).token }))],
    [
      'begins immediately, and may have no need to read',
      async (space: LogSpace) => void (await space.add(WAITS)),
    ],
  ])('nobody takes over a drain that %s', async (_name, begin) => {
    const space = await openSpace({ soonMs: 4_000 });
    await begin(space);
    expect(await space.add(WAITS)).toMatchObject({ drainAfterMs: null });
    expect(await space.add(THOUSAND)).toMatchObject({ drainAfterMs: null });
  });

  it('a drain that says nothing for its lease has ended: the next append takes over', async () => {
    const space = await openSpace();
    const first = await space.add(WAITS);
    await setDue(space, -LEASE_MS - 10);
    expect(await space.add()).toMatchObject({ drainAfterMs: SOON_MS });
    expect(await space.read({ token: first.token })).toEqual({ status: 'relieved' });
  });

  it('a drain whose lease is over goes on where no other took over', async () => {
    const space = await openSpace();
    const { token } = await space.add(WAITS);
    await setDue(space, -LEASE_MS - 10);
    expect(await space.read({ token })).toMatchObject({ status: 'read' });
    expect(await space.add(WAITS)).toMatchObject({ drainAfterMs: null });
  });

  it('a drain renews its lease by reading and by settling', async () => {
    const space = await openSpace();
    const { token, seq } = await space.add(WAITS);
    for (const renew of [
      () => space.read({ token }),
      () => space.settle(seq - 1, { token, next: 'continue' }),
    ]) {
      await setDue(space, -4_000);
      await renew();
      expectAbout(await readDueMs(space), 0);
    }
  });

  it.each([3_600_000, REST_MS + 100])(
    'a due from before the clock was set back is not believed: %d ms are too many',
    async (ms) => {
      const space = await openSpace();
      await space.add();
      await setDue(space, ms);
      expect(await space.add()).toMatchObject({ drainAfterMs: SOON_MS });
      await space.setMeta({ token: '' });
      await setDue(space, ms);
      expect(await space.add()).toMatchObject({ drainAfterMs: SOON_MS });
    },
  );

  describe('after a drain that committed everything', () => {
    const drainAll = async (space: LogSpace) => {
      const { token, seq } = await space.add(WAITS);
      expect(await space.settle(seq, { token, next: 'continue' })).toMatchObject({ restMs: 0 });
      return token;
    };

    it('nobody drains', async () => {
      const space = await openSpace();
      const token = await drainAll(space);
      expect((await space.meta()).token).toBe('');
      expect(await space.read({ token })).toEqual({ status: 'relieved' });
    });

    it('the next one comes after a rest', async () => {
      const space = await openSpace({ restMs: 4_000 });
      await drainAll(space);
      expectAbout((await space.add(THOUSAND)).drainAfterMs, 4_000);
      expect(await space.add(THOUSAND)).toMatchObject({ drainAfterMs: null });
    });

    it('the next one comes immediately for a caller who waits', async () => {
      const space = await openSpace({ restMs: 4_000 });
      await drainAll(space);
      expect(await space.add(WAITS)).toMatchObject({ drainAfterMs: 0 });
    });

    it.each([-1, 5])('the next one waits for more operations in any case: rest ends in %d ms', async (ms) => {
      const space = await openSpace();
      await drainAll(space);
      await setDue(space, ms);
      expect(await space.add()).toMatchObject({ drainAfterMs: SOON_MS });
    });

    it('another incarnation does not rest', async () => {
      const space = await openSpace({ restMs: 4_000 });
      await drainAll(space);
      const opened = { incarnation: 'made-anew', incarnationSeq: 20, cursor: 1_000 };
      expect(await space.add({ ...THOUSAND, opened })).toMatchObject({ drainAfterMs: SOON_MS });
    });
  });

  describe('a drain that left something', () => {
    /** @returns what the settle answered, of a drain that committed the first of two appends. */
    const drainFirst = async (space: LogSpace, next: 'stop' | 'continue' | 'pause', isAwaited = false) => {
      const { token, seq } = await space.add(WAITS);
      await space.read({ token });
      await space.add({ ...THOUSAND, waits: isAwaited });
      return { token, settled: await space.settle(seq, { token, next }) };
    };

    it('rests, keeps its claim, and goes on', async () => {
      const space = await openSpace({ restMs: 4_000 });
      const { token, settled } = await drainFirst(space, 'pause');
      expect(settled).toMatchObject({ isDrained: false, restMs: 4_000 });
      expectAbout(await readDueMs(space), 4_000);
      expect(await space.add(THOUSAND)).toMatchObject({ drainAfterMs: null });
      expect(await space.read({ token })).toMatchObject({ status: 'read' });
      expect(await space.add(WAITS)).toMatchObject({ drainAfterMs: null });
    });

    it('is taken over in its rest by a caller who waits', async () => {
      const space = await openSpace({ restMs: 4_000 });
      const { token } = await drainFirst(space, 'pause');
      expect(await space.add(WAITS)).toMatchObject({ drainAfterMs: 0 });
      expect(await space.read({ token })).toEqual({ status: 'relieved' });
    });

    it('does not pause while a caller waits for the remaining entries', async () => {
      const space = await openSpace();
      const { settled } = await drainFirst(space, 'pause', true);
      expect(settled).toMatchObject({ isDrained: false, restMs: 0 });
      expect(await space.add()).toMatchObject({ drainAfterMs: null });
    });

    it('rests again when what a caller waited for is committed', async () => {
      const space = await openSpace();
      const { settled } = await drainFirst(space, 'pause');
      expect(settled).toMatchObject({ restMs: REST_MS });
    });

    it('continues immediately if it is told to', async () => {
      const space = await openSpace();
      const { settled } = await drainFirst(space, 'continue');
      expect(settled).toMatchObject({ isDrained: false, restMs: 0 });
      expect(await space.add(WAITS)).toMatchObject({ drainAfterMs: null });
    });

    it('leaves the rest to the next append where it ends', async () => {
      const space = await openSpace();
      const { token, settled } = await drainFirst(space, 'stop');
      expect(settled).toMatchObject({ isDrained: false, restMs: 0 });
      expect(await space.read({ token })).toEqual({ status: 'relieved' });
      expect(await space.add()).toMatchObject({ drainAfterMs: SOON_MS });
    });
  });

  it('a drain without the claim leaves it to its owner', async () => {
    const space = await openSpace();
    const { token, firstSeq } = await space.add({ ...WAITS, entries: [ENTRY, ...THOUSAND.entries] });
    const before = await space.meta();
    expect(await space.read()).toMatchObject({ status: 'read' });
    await space.settle(firstSeq);
    await space.settle(firstSeq, { token: 'of-another', next: 'continue' });
    expect(await space.meta()).toMatchObject({ token, due: before.due });
  });
});
