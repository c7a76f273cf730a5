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
    ['one operation', {}, 'soon'],
    ['99 operations', { entries: [{ ops: '[]', count: 99 }] }, 'soon'],
    ['100 operations', HUNDRED, 'now'],
    [
      '100 operations of several entries',
      {
        entries: [
          { ops: '[]', count: 60 },
          { ops: '[]', count: 40 },
        ],
      },
      'now',
    ],
    ['one who waits', { waits: true }, 'now'],
  ])('where nobody is elected, %s has a drain begin', async (_name, request, drain) => {
    const space = await openSpace();
    const outcome = await space.add(request);
    expect(outcome.drain).toBe(drain);
    expect(outcome.token).not.toBe('');
    const leaseMs = await readLeaseMs(space);
    expect(leaseMs).toBeGreaterThan(LEASE_MS - 2_000);
    expect(leaseMs).toBeLessThan(LEASE_MS + 2_000);
  });

  it('elects nobody beside one who sleeps, unless it is urgent', async () => {
    const space = await openSpace();
    const sleeper = await space.add();
    expect(await space.add()).toMatchObject({ drain: 'none', token: '' });
    const urgent = await space.add({ waits: true });
    expect(urgent.drain).toBe('now');
    expect(urgent.token).not.toBe(sleeper.token);
    expect(await space.read({ token: sleeper.token })).toEqual({ status: 'relieved' });
    expect(await space.read({ token: urgent.token })).toMatchObject({ status: 'read' });
  });

  it('wakes one who sleeps when the backlog has come to 100 operations', async () => {
    const space = await openSpace();
    await space.add({ entries: [{ ops: '[]', count: 60 }] });
    expect(await space.add({ entries: [{ ops: '[]', count: 39 }] })).toMatchObject({ drain: 'none' });
    expect(await space.add()).toMatchObject({ drain: 'now' });
  });

  it('elects nobody beside one who drains', async () => {
    const space = await openSpace();
    const { token } = await space.add();
    await space.read({ token });
    expect(await space.add({ waits: true })).toMatchObject({ drain: 'none' });
    expect(await space.add(HUNDRED)).toMatchObject({ drain: 'none' });
  });

  it('elects another where the lease is over, and relieves the first', async () => {
    const space = await openSpace();
    const first = await space.add(HUNDRED);
    await endLease(space);
    const second = await space.add();
    expect(second.drain).toBe('now');
    expect(await space.read({ token: first.token })).toEqual({ status: 'relieved' });
  });

  it('lets one go on whose lease is over, while no other was elected', async () => {
    const space = await openSpace();
    const { token } = await space.add(HUNDRED);
    await endLease(space);
    expect(await space.read({ token })).toMatchObject({ status: 'read' });
    expect(await space.add(HUNDRED)).toMatchObject({ drain: 'none' });
  });

  it('does not believe a lease from before the clock was set back', async () => {
    const space = await openSpace();
    await space.add(HUNDRED);
    await space.setMeta({ lease: `r${(Date.now() + 3_600_000) * 1_000}` });
    expect(await space.add()).toMatchObject({ drain: 'now' });
  });

  it('renews the lease of who goes on, by reading and by settling', async () => {
    const space = await openSpace();
    const { token, seq } = await space.add(HUNDRED);
    for (const renew of [() => space.read({ token }), () => space.settle(seq - 1, { token, goesOn: true })]) {
      await endLease(space);
      await renew();
      expect(await readLeaseMs(space)).toBeGreaterThan(LEASE_MS - 2_000);
    }
  });

  it('lets go where all is drained, and where the drain does not go on', async () => {
    const space = await openSpace();
    const first = await space.add(HUNDRED);
    const open = await space.add(HUNDRED);
    await space.settle(first.seq, { token: first.token });
    const second = await space.add();
    expect(second.drain).toBe('now');
    await space.settle(second.seq, { token: second.token, goesOn: true });
    expect(await space.meta()).toMatchObject({ token: '', lease: '' });
    expect(await space.read({ token: second.token })).toEqual({ status: 'relieved' });
    expect(await space.add()).toMatchObject({ drain: 'soon' });
    expect(open.drain).toBe('none');
  });

  it('leaves the lease to its owner, whoever else drains', async () => {
    const space = await openSpace();
    const { token, firstSeq } = await space.add({ ...HUNDRED, entries: [ENTRY, ...HUNDRED.entries] });
    const before = await space.meta();
    expect(await space.read()).toMatchObject({ status: 'read' });
    await space.settle(firstSeq);
    await space.settle(firstSeq, { token: 'of-another', goesOn: true });
    expect(await space.meta()).toMatchObject({ token, lease: before.lease });
  });
});
