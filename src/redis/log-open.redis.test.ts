import { describe, expect, it } from 'vitest';
import { ENTRY, type LogSpace, useLogs } from '../../test/redis-log.ts';
import { REDIS_WAYS } from '../../test/redis-ways.ts';
import { uniqueName } from '../../test/support.ts';
import { createLogStore } from './log.ts';

const HOUR_US = 3_600_000_000;

describe.each(REDIS_WAYS)('opening and ending a log, %s', (_, openWay) => {
  const { redis, openSpace } = useLogs(openWay);

  /** As another process sees the space: one that remembers nothing of it. */
  function visit(space: LogSpace): LogSpace['append'] {
    const log = createLogStore(redis());
    return (request = {}) =>
      log.append(space.address, {
        actor: null,
        entries: [ENTRY],
        waits: false,
        idempotency: null,
        budget: null,
        opened: null,
        backlog: { bytesMax: 1e9, entriesMax: 1e9, ageMsMax: 1e9 },
        ...request,
      });
  }

  const remake = (space: LogSpace, incarnationSeq = 20, cursor = 2_000) => ({
    incarnation: uniqueName('i'),
    incarnationSeq,
    cursor: Math.max(cursor, space.opened.cursor),
  });

  it('[L4f] is cold where Redis knows nothing of the space, and writes nothing', async () => {
    const space = await openSpace({ isOpened: false });
    expect(
      await space.append({ idempotency: { principal: 'p', key: 'k', fingerprint: 'f', ttlSeconds: 9 } }),
    ).toEqual({ status: 'cold', isLogAbsent: true });
    expect(await space.read()).toEqual({ status: 'cold' });
    expect(await space.settle(5_000)).toEqual({ last: 5_000, isDrained: false, restMs: 0, snapshot: null });
    expect(await space.dump()).toEqual({ keys: [], dirtySince: null });
  });

  it('[L4g] opens above what Postgres says', async () => {
    const space = await openSpace({ isOpened: false });
    const cursor = Date.now() * 1_000 + HOUR_US;
    const { seq } = await space.add({ opened: { ...space.opened, cursor } });
    expect(seq).toBe(cursor + 1);
    expect(await space.read()).toMatchObject({ after: cursor, last: seq, entries: [{ seq, prev: cursor }] });
    expect(await space.dirtySince()).toBe(seq);
  });

  it('opens with nothing to append, and then has nothing to drain', async () => {
    const space = await openSpace({ isOpened: false });
    expect(await space.append({ opened: space.opened, entries: [] })).toMatchObject({
      status: 'appended',
      seq: 1_000,
      accepted: 0,
      drainAfterMs: null,
    });
    expect(await space.read()).toMatchObject({ status: 'read', after: 1_000, last: 1_000, entries: [] });
    expect(await space.dirtySince()).toBeNull();
  });

  it('opens once: who comes second with the same finds it open', async () => {
    const space = await openSpace({ isOpened: false });
    const first = await space.add({ opened: space.opened });
    const second = await space.add({ opened: space.opened });
    expect(await space.read()).toMatchObject({
      entries: [{ seq: first.seq }, { seq: second.seq, prev: first.seq }],
    });
  });

  it('goes on with the chain where the hash alone was lost', async () => {
    const space = await openSpace();
    const first = await space.add({ entries: [ENTRY, ENTRY, ENTRY] });
    await space.settle(first.firstSeq);
    await redis().command('DEL', space.keys.meta);
    expect(await space.append()).toEqual({ status: 'cold', isLogAbsent: false });
    expect(await visit(space)()).toEqual({ status: 'cold', isLogAbsent: true });
    const opened = { ...space.opened, cursor: first.firstSeq };
    await visit(space)({ opened, entries: [] });
    expect(await space.log.readBacklog(space.address)).toEqual({
      operations: 2,
      entries: 2,
      bytes: 2 * ENTRY.ops.length,
      oldestSeq: first.firstSeq + 1,
      last: first.seq,
    });
    expect(await space.dirtySince()).toBe(first.firstSeq + 1);
    const { seq } = await space.add();
    expect(await space.read()).toMatchObject({
      after: first.firstSeq,
      last: seq,
      entries: [{ seq: first.firstSeq + 1 }, { seq: first.seq }, { seq, prev: first.seq }],
    });
    expect(await space.settle(seq)).toEqual({ last: seq, isDrained: true, restMs: 0, snapshot: null });
    expect(await space.log.readBacklog(space.address)).toMatchObject({ operations: 0, entries: 0, bytes: 0 });
  });

  it('rises above entries that the stream has had, and has no more', async () => {
    const space = await openSpace();
    const top = Date.now() * 1_000 + HOUR_US;
    await space.setMeta({ last: top - 1 });
    expect((await space.add()).seq).toBe(top);
    await redis().command('XDEL', space.keys.log, `${top}-0`);
    await redis().command('DEL', space.keys.meta);
    expect((await space.add({ opened: space.opened })).seq).toBe(top + 1);
  });

  it('answers `deleted` for a day, and keeps nothing of the log', async () => {
    const space = await openSpace();
    await space.add();
    await space.log.retire(space.address, space.opened.incarnation);
    const deleted = { status: 'deleted', incarnation: space.opened.incarnation };
    expect(await space.append()).toEqual(deleted);
    expect(await visit(space)()).toEqual(deleted);
    expect(await visit(space)({ opened: space.opened })).toEqual(deleted);
    expect(await space.read()).toEqual(deleted);
    expect(await space.settle(9_000)).toEqual({ last: 9_000, isDrained: true, restMs: 0, snapshot: null });
    expect(await space.dirtySince()).toBeNull();
    expect(await space.log.readBacklog(space.address)).toEqual({
      operations: 0,
      entries: 0,
      bytes: 0,
      oldestSeq: null,
      last: null,
    });
    expect(await redis().command('EXISTS', space.keys.log)).toBe(0);
    const ttl = Number(await redis().command('TTL', space.keys.meta));
    expect(ttl).toBeGreaterThan(86_000);
    expect(ttl).toBeLessThanOrEqual(86_400);
  });

  it('remembers a deletion that comes while Redis knows nothing of the space', async () => {
    const space = await openSpace({ isOpened: false });
    await space.log.retire(space.address, space.opened.incarnation);
    expect(await space.append({ opened: space.opened })).toEqual({
      status: 'deleted',
      incarnation: space.opened.incarnation,
    });
    const anew = remake(space, 0);
    expect(await space.append({ opened: anew })).toMatchObject({
      status: 'appended',
      incarnation: anew.incarnation,
    });
    expect(await redis().command('TTL', space.keys.meta)).toBe(-1);
  });

  it('[L1a] starts clean where a deleted space is made again, above what it had', async () => {
    const space = await openSpace();
    const stale = visit(space);
    await stale();
    const last = Date.now() * 1_000 + HOUR_US;
    await space.setMeta({ last });
    await space.add({ waits: true });
    await space.log.retire(space.address, space.opened.incarnation);
    const anew = remake(space);
    const { seq, drainAfterMs } = await space.add({ opened: anew });
    expect({ seq, drainAfterMs }).toEqual({ seq: last + 2, drainAfterMs: 100 });
    expect(await space.read()).toMatchObject({
      status: 'read',
      incarnation: anew.incarnation,
      after: 2_000,
      last: seq,
      entries: [{ seq, prev: 2_000 }],
    });
    expect(await space.meta()).toMatchObject({
      incarnation: anew.incarnation,
      counts: `1 1 ${ENTRY.ops.length}`,
    });
    expect(await stale()).toMatchObject({ status: 'appended', incarnation: anew.incarnation });
  });

  it('takes the log of the incarnation away that another took the place of', async () => {
    const space = await openSpace();
    await space.add();
    const anew = remake(space);
    await space.add({ opened: anew });
    expect(await redis().command('EXISTS', space.keys.log)).toBe(0);
  });

  it('is never replaced by an older incarnation', async () => {
    const space = await openSpace();
    const stale = visit(space);
    await stale();
    const anew = remake(space);
    await space.add({ opened: anew });
    const late = await stale({ opened: space.opened });
    expect(late).toMatchObject({ status: 'appended', incarnation: anew.incarnation });
    const before = await space.dump();
    await space.log.retire(space.address, space.opened.incarnation);
    expect(await space.settle(9_000)).toEqual({ last: 9_000, isDrained: true, restMs: 0, snapshot: null });
    expect(await space.dump()).toEqual(before);
  });

  it('names this life of Redis, and the next one otherwise', async () => {
    const { log } = await openSpace({ isOpened: false });
    const name = await log.readInstance();
    expect(name).not.toBe('');
    expect(await createLogStore(redis()).readInstance()).toBe(name);
    expect(await redis().command('TTL', 'wk:instance')).toBe(-1);
  });
});
