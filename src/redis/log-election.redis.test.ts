import { describe, expect, it } from 'vitest';
import { ENTRY, type LogSpace, useLogs } from '../../test/redis-log.ts';
import { REDIS_WAYS } from '../../test/redis-ways.ts';

const HUNDRED = { entries: [{ ops: '[100]', count: 100 }] };
const LEASE_MS = 5_000;

describe.each(REDIS_WAYS)('[D4] electing a drain, %s', (_, openWay) => {
  const { openSpace } = useLogs(openWay);
  const endLease = (space: LogSpace) => space.setMeta({ lease: `r${(Date.now() - 60_000) * 1_000}` });
  const readLeaseMs = async (space: LogSpace) =>
    Number((await space.meta()).lease?.slice(1)) / 1_000 - Date.now();

  it.each([
    ['one operation', {}, 100],
    ['99 operations', { entries: [{ ops: '[]', count: 99 }] }, 100],
    ['100 operations', HUNDRED, 0],
    [
      '100 operations of several entries',
      {
        entries: [
          { ops: '[]', count: 60 },
          { ops: '[]', count: 40 },
        ],
      },
      0,
    ],
    ['one who waits', { waits: true }, 0],
  ])('where nobody is elected, %s has a drain begin', async (_name, request, afterMs) => {
    const space = await openSpace();
    const outcome = await space.add(request);
    expect(outcome.drainAfterMs).toBe(afterMs);
    expect(outcome.token).not.toBe('');
    const leaseMs = await readLeaseMs(space);
    expect(leaseMs).toBeGreaterThan(LEASE_MS - 2_000);
    expect(leaseMs).toBeLessThan(LEASE_MS + 2_000);
  });

  it('elects nobody beside one who sleeps, unless it is urgent', async () => {
    const space = await openSpace();
    const sleeper = await space.add();
    expect(await space.add()).toMatchObject({ drainAfterMs: null, token: '' });
    const urgent = await space.add({ waits: true });
    expect(urgent.drainAfterMs).toBe(0);
    expect(urgent.token).not.toBe(sleeper.token);
    expect(await space.read({ token: sleeper.token })).toEqual({ status: 'relieved' });
    expect(await space.read({ token: urgent.token })).toMatchObject({ status: 'read' });
  });

  it('elects nobody beside one who sleeps, also where there is no rest', async () => {
    const space = await openSpace({ restMs: 0 });
    expect(await space.add()).toMatchObject({ drainAfterMs: 100 });
    expect(await space.add()).toMatchObject({ drainAfterMs: null });
  });

  it('wakes one who sleeps when the backlog has come to 100 operations', async () => {
    const space = await openSpace({ soonMs: 4_000 });
    await space.add({ entries: [{ ops: '[]', count: 60 }] });
    expect(await space.add({ entries: [{ ops: '[]', count: 39 }] })).toMatchObject({ drainAfterMs: null });
    expect(await space.add()).toMatchObject({ drainAfterMs: 0 });
  });

  it.each([
    ['that has read', {}],
    ['that begins at once, and may have no need to read', HUNDRED],
  ])('elects nobody beside a drain %s', async (_name, request) => {
    const space = await openSpace();
    const { token } = await space.add(request);
    if (request !== HUNDRED) await space.read({ token });
    expect(await space.add({ waits: true })).toMatchObject({ drainAfterMs: null });
    expect(await space.add(HUNDRED)).toMatchObject({ drainAfterMs: null });
  });

  it('elects another where the lease is over, and relieves the first', async () => {
    const space = await openSpace();
    const first = await space.add(HUNDRED);
    await endLease(space);
    const second = await space.add();
    expect(second.drainAfterMs).toBe(0);
    expect(await space.read({ token: first.token })).toEqual({ status: 'relieved' });
  });

  it('lets one go on whose lease is over, while no other was elected', async () => {
    const space = await openSpace();
    const { token } = await space.add(HUNDRED);
    await endLease(space);
    expect(await space.read({ token })).toMatchObject({ status: 'read' });
    expect(await space.add(HUNDRED)).toMatchObject({ drainAfterMs: null });
  });

  it.each([3_600_000, LEASE_MS + 1_000])(
    'does not believe a lease from before the clock was set back: %d ms are too many',
    async (ms) => {
      const space = await openSpace();
      await space.add(HUNDRED);
      await space.setMeta({ lease: `r${(Date.now() + ms) * 1_000}` });
      expect(await space.add()).toMatchObject({ drainAfterMs: 0 });
    },
  );

  it('renews the lease of who goes on, by reading and by settling', async () => {
    const space = await openSpace();
    const { token, seq } = await space.add(HUNDRED);
    for (const renew of [
      () => space.read({ token }),
      () => space.settle(seq - 1, { token, goesOn: 'at once' }),
    ]) {
      await endLease(space);
      await renew();
      // Who goes on at once is not asleep: nobody takes over.
      expect((await space.meta()).lease).toMatch(/^r/);
      expect(await readLeaseMs(space)).toBeGreaterThan(LEASE_MS - 2_000);
    }
  });

  it('lets go where all is drained, and where the drain does not go on', async () => {
    const space = await openSpace();
    const first = await space.add(HUNDRED);
    const open = await space.add(HUNDRED);
    await space.settle(first.seq, { token: first.token });
    const second = await space.add();
    expect(second.drainAfterMs).toBe(0);
    await space.settle(second.seq, { token: second.token, goesOn: 'at once' });
    expect(await space.meta()).toMatchObject({ token: '', lease: '' });
    expect(await space.read({ token: second.token })).toEqual({ status: 'relieved' });
    expect((await space.add()).drainAfterMs).toBeGreaterThan(0);
    expect(open.drainAfterMs).toBeNull();
  });

  describe('a rest', () => {
    const restUs = (ms: number) => (Date.now() + ms) * 1_000;
    const settleFirst = async (space: LogSpace, request: Parameters<LogSpace['settle']>[1] = {}) => {
      const first = await space.add(HUNDRED);
      await space.read({ token: first.token });
      const open = await space.add({ ...HUNDRED, ...(request?.goesOn === 'at once' && { waits: true }) });
      const settled = await space.settle(first.seq, { token: first.token, goesOn: 'after a rest' });
      return { first, open, settled };
    };

    it('follows a drain that came to the end: only who waits has the next one begin in it', async () => {
      const space = await openSpace({ restMs: 4_000 });
      const { token, seq } = await space.add(HUNDRED);
      await space.settle(seq, { token, goesOn: 'at once' });
      const { drainAfterMs } = await space.add(HUNDRED);
      expect(drainAfterMs).toBeGreaterThan(100);
      expect(drainAfterMs).toBeLessThanOrEqual(4_000);
      expect(await space.add(HUNDRED)).toMatchObject({ drainAfterMs: null });
      expect(await space.add({ waits: true })).toMatchObject({ drainAfterMs: 0 });
    });

    it('does not follow a drain that had much to do', async () => {
      const space = await openSpace();
      const first = await space.add(HUNDRED);
      await space.settle(first.seq, { token: first.token, goesOn: 'at once', operations: 2_500 });
      const second = await space.add(HUNDRED);
      expect(second.drainAfterMs).toBe(0);
      await space.add(HUNDRED);
      const after = { token: second.token, goesOn: 'after a rest', operations: 2_500 } as const;
      expect(await space.settle(second.seq, after)).toMatchObject({ isDrained: false, restMs: 0 });
      expect((await space.meta()).lease).toMatch(/^r/);
      expect(await space.settle(second.seq, { ...after, operations: 2_499 })).toMatchObject({ restMs: 250 });
    });

    it('is not below what one operation waits in any case', async () => {
      const space = await openSpace();
      await space.setMeta({ rest: restUs(5) });
      expect(await space.add()).toMatchObject({ drainAfterMs: 100 });
    });

    it('is over when it is over', async () => {
      const space = await openSpace();
      await space.setMeta({ rest: restUs(-1) });
      expect(await space.add(HUNDRED)).toMatchObject({ drainAfterMs: 0 });
    });

    it.each([3_600_000, 4_000])(
      'is not believed from before the clock was set back: %d ms are too many',
      async (ms) => {
        const space = await openSpace();
        await space.setMeta({ rest: restUs(ms) });
        expect(await space.add(HUNDRED)).toMatchObject({ drainAfterMs: 0 });
      },
    );

    it('is for the drain too that has something left, which keeps its lease and may be woken by who waits', async () => {
      const space = await openSpace({ restMs: 4_000 });
      const { first, settled } = await settleFirst(space);
      expect(settled).toMatchObject({ isDrained: false, restMs: 4_000 });
      // It has all of its lease when it wakes.
      expect(await readLeaseMs(space)).toBeGreaterThan(LEASE_MS);
      expect(await space.add(HUNDRED)).toMatchObject({ drainAfterMs: null });
      expect(await space.read({ token: first.token })).toMatchObject({ status: 'read' });
      expect(await space.add({ waits: true })).toMatchObject({ drainAfterMs: null });
    });

    it('ends for who waits: another drain takes over', async () => {
      const space = await openSpace();
      const { first } = await settleFirst(space);
      expect(await space.add({ waits: true })).toMatchObject({ drainAfterMs: 0 });
      expect(await space.read({ token: first.token })).toEqual({ status: 'relieved' });
    });

    it('is not taken while somebody waits for what is left', async () => {
      const space = await openSpace();
      const { open, settled } = await settleFirst(space, { goesOn: 'at once' });
      expect(settled).toMatchObject({ isDrained: false, restMs: 0 });
      const { token } = await space.add();
      expect(token).toBe('');
      expect(open.drainAfterMs).toBeNull();
    });

    it('is taken again when what somebody waited for is committed', async () => {
      const space = await openSpace();
      const { token, seq } = await space.add({ waits: true });
      await space.add(HUNDRED);
      expect(await space.settle(seq, { token, goesOn: 'after a rest' })).toMatchObject({ restMs: 250 });
    });

    it('is over with a drain that did not wake: the next that is urgent takes its place', async () => {
      const space = await openSpace({ leaseMs: 60_000, soonMs: 10_000 });
      await settleFirst(space);
      const lease = (ms: number) => `s${(Date.now() + 60_000 + ms) * 1_000}`;
      await space.setMeta({ rest: restUs(-300), lease: lease(-5) });
      expect(await space.add(HUNDRED)).toMatchObject({ drainAfterMs: null });
      await space.setMeta({ lease: lease(-20_000) });
      expect(await space.add(HUNDRED)).toMatchObject({ drainAfterMs: 0 });
    });

    it('ends for who waits also where its drain is to wake at this moment', async () => {
      const space = await openSpace();
      await settleFirst(space);
      await space.setMeta({ rest: restUs(-5), lease: `s${(Date.now() + LEASE_MS - 5) * 1_000}` });
      expect(await space.add({ waits: true })).toMatchObject({ drainAfterMs: 0 });
    });

    it('is gone with the incarnation', async () => {
      const space = await openSpace();
      await space.setMeta({ rest: restUs(200) });
      const opened = { incarnation: 'made-anew', incarnationSeq: 20, cursor: 1_000 };
      expect(await space.add({ ...HUNDRED, opened })).toMatchObject({ drainAfterMs: 0 });
    });
  });

  it('leaves the lease to its owner, whoever else drains', async () => {
    const space = await openSpace();
    const { token, firstSeq } = await space.add({ ...HUNDRED, entries: [ENTRY, ...HUNDRED.entries] });
    const before = await space.meta();
    expect(await space.read()).toMatchObject({ status: 'read' });
    await space.settle(firstSeq);
    await space.settle(firstSeq, { token: 'of-another', goesOn: 'at once' });
    expect(await space.meta()).toMatchObject({ token, lease: before.lease });
  });
});
