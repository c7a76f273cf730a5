import { describe, expect, it } from 'vitest';
import { ENTRY, useLogs } from '../../test/redis-log.ts';
import { REDIS_WAYS } from '../../test/redis-ways.ts';
import type { NoEffect } from '../world/batch.ts';
import { LIMITS } from '../world/limits.ts';

const MINUTE_US = 60_000_000;

describe.each(REDIS_WAYS)('reading and settling a log, %s', (_, openWay) => {
  const { redis, openSpace } = useLogs(openWay);
  const large = (bytes: number) => ({ ops: JSON.stringify('x'.repeat(bytes - 2)), count: 1 });
  const listSeqs = async (name: string) =>
    ((await redis().command('XRANGE', name, '-', '+')) as [string, string[]][]).map(([id]) =>
      Number.parseInt(id, 10),
    );

  it('[D2] reads until the bytes or the entries are enough, and says how far the log goes', async () => {
    const space = await openSpace();
    const sizes = Array.from({ length: 40 }, (_, i) => (i % 10 === 9 ? 1_000 : 100));
    const { firstSeq, seq } = await space.add({ entries: sizes.map(large) });
    const count = async (request: Parameters<typeof space.read>[0]) => {
      const read = await space.read(request);
      if (read.status !== 'read') throw new Error(read.status);
      expect(read.last).toBe(seq);
      expect(read.entries.map((entry) => entry.seq)).toEqual(
        read.entries.map((_, i) => (request?.after ?? firstSeq - 1) + 1 + i),
      );
      return read.entries.length;
    };
    expect(await count({})).toBe(40);
    expect(await count({ entriesMax: 17 })).toBe(17);
    expect(await count({ bytesMax: 1_900 })).toBe(10);
    expect(await count({ bytesMax: 1_899 })).toBe(9);
    expect(await count({ bytesMax: 3_000 })).toBe(19);
    expect(await count({ bytesMax: 1 })).toBe(1);
    expect(await count({ after: firstSeq + 37 })).toBe(2);
    expect(await count({ after: seq })).toBe(0);
  });

  it('[D2] stops at 4 MiB', async () => {
    const space = await openSpace();
    for (let i = 0; i < 5; i++) await space.add({ entries: [1, 2, 3, 4].map(() => large(256 * 1024)) });
    const read = await space.read({ bytesMax: 4 * 1024 * 1024 });
    expect(read.status === 'read' && read.entries).toHaveLength(16);
  });

  it('begins after the committed seq if no seq is given', async () => {
    const space = await openSpace();
    const first = await space.add();
    const second = await space.add();
    await space.settle(first.seq);
    expect(await space.read()).toMatchObject({ after: first.seq, entries: [{ seq: second.seq }] });
    expect(await space.read({ after: 1_000 })).toMatchObject({
      entries: [{ seq: first.seq }, { seq: second.seq }],
    });
  });

  it('[D4e] leaves the dirty spaces only where all of the log is committed', async () => {
    const space = await openSpace();
    const first = await space.add();
    expect(await space.dirtySince()).toBe(first.seq);
    // Appended between the drain's commit and its settling.
    const between = await space.add();
    expect(await space.settle(first.seq)).toEqual({
      last: between.seq,
      isDrained: false,
      restMs: 0,
      snapshot: null,
    });
    expect(await space.dirtySince()).toBe(between.seq);
    expect(await space.settle(between.seq)).toEqual({
      last: between.seq,
      isDrained: true,
      restMs: 0,
      snapshot: null,
    });
    expect(await space.dirtySince()).toBeNull();
    const next = await space.add();
    expect(await space.dirtySince()).toBe(next.seq);
  });

  it('never takes back what is committed, and does not mind being told twice', async () => {
    const space = await openSpace();
    const { firstSeq, seq } = await space.add({ entries: [ENTRY, ENTRY, ENTRY] });
    await space.settle(seq - 1);
    expect(await space.settle(firstSeq)).toEqual({ last: seq, isDrained: false, restMs: 0, snapshot: null });
    expect(await space.log.readBacklog(space.address)).toMatchObject({ entries: 1, oldestSeq: seq });
    await space.settle(seq);
    expect(await space.settle(seq)).toEqual({ last: seq, isDrained: true, restMs: 0, snapshot: null });
    expect(await space.log.readBacklog(space.address)).toMatchObject({ entries: 0, oldestSeq: null });
  });

  it('counts the backlog from the log itself, whatever the settled say they did', async () => {
    const space = await openSpace();
    const { firstSeq, seq } = await space.add({
      entries: [
        { ops: '[1]', count: 1 },
        { ops: '[2,2]', count: 2 },
        { ops: '[3,3,3]', count: 3 },
      ],
    });
    await space.settle(firstSeq, { operations: 77, entries: 77, bytes: 77 });
    expect(await space.log.readBacklog(space.address)).toEqual({
      operations: 5,
      entries: 2,
      bytes: 12,
      oldestSeq: firstSeq + 1,
      last: seq,
    });
  });

  it('[L2b] puts a break where the end of the log is missing, and continues behind it', async () => {
    const space = await openSpace();
    const { seq } = await space.add();
    await redis().command('DEL', space.keys.log);
    const read = await space.read();
    if (read.status !== 'read') throw new Error(read.status);
    const { last } = read;
    expect(last).toBeGreaterThan(seq);
    expect(read).toMatchObject({ entries: [], tear: { at: last, why: 'lost', lostTo: seq } });
    // Once.
    expect(await space.read()).toMatchObject({ last, tear: { at: last } });
    expect(await space.settle(1_000)).toMatchObject({ last, isDrained: false });
    expect(await space.dirtySince()).toBe(last);
    expect(await space.settle(last)).toMatchObject({ last, isDrained: true });
    expect((await space.add()).seq).toBeGreaterThan(last);
    expect(await space.read()).toMatchObject({ entries: [{ prev: last }] });
  });

  it('[L8e] puts a break where Postgres is ahead of the log, and gives no seq again that Postgres is at', async () => {
    const space = await openSpace();
    await space.add();
    const cursor = Date.now() * 1_000 + 60 * MINUTE_US;
    expect(await space.settle(cursor)).toMatchObject({ last: cursor + 1, isDrained: false });
    expect(await space.read()).toMatchObject({ after: cursor, tear: { at: cursor + 1, why: 'behind' } });
    expect((await space.add()).seq).toBe(cursor + 2);
    expect(await space.read()).toMatchObject({ entries: [{ prev: cursor + 1 }] });
  });

  it('[D6] lets a drained log expire, and keeps it when something comes', async () => {
    const space = await openSpace();
    const first = await space.add();
    expect(await redis().command('TTL', space.keys.log)).toBe(-1);
    await space.settle(first.seq);
    const ttl = Number(await redis().command('TTL', space.keys.log));
    expect(ttl).toBeGreaterThan(50);
    expect(ttl).toBeLessThanOrEqual(60);
    const second = await space.add();
    expect(await redis().command('TTL', space.keys.log)).toBe(-1);
    expect(await listSeqs(space.keys.log)).toEqual([first.seq, second.seq]);
    await space.settle(second.seq);
    await redis().command('DEL', space.keys.log);
    const third = await space.add();
    expect(await space.read()).toMatchObject({ entries: [{ seq: third.seq, prev: second.seq }] });
  });

  it('[D6] trims what is older than the window, if it is committed', async () => {
    const space = await openSpace({ isOpened: false });
    // A minute and more ago, as seqs go: the clock is ahead of them.
    const old = Date.now() * 1_000 - 2 * MINUTE_US;
    await space.append({ opened: space.opened, entries: [] });
    await redis().command(
      ...([
        'XADD',
        space.keys.log,
        `${old}-0`,
        'p',
        '1000',
        'a',
        '',
        'n',
        '1',
        'c',
        '0 0 0',
        'o',
        '[]',
      ] as const),
    );
    await redis().command(
      ...([
        'XADD',
        space.keys.log,
        `${old + 9}-0`,
        'p',
        `${old}`,
        'a',
        '',
        'n',
        '1',
        'c',
        '1 1 2',
        'o',
        '[]',
      ] as const),
    );
    await space.setMeta({ last: old + 9, counts: '2 2 4', oldest: old });
    const { seq } = await space.add();
    await space.settle(1_000);
    expect(await listSeqs(space.keys.log)).toEqual([old, old + 9, seq]);
    await space.settle(old);
    expect(await listSeqs(space.keys.log)).toEqual([old + 9, seq]);
    await space.settle(seq);
    expect(await listSeqs(space.keys.log)).toEqual([seq]);
  });

  it('[D6] trims to the entries of the window, and nothing that is not committed', async () => {
    const space = await openSpace({ replayWindowEntriesMax: 3 });
    const { firstSeq, seq } = await space.add({ entries: Array.from({ length: 10 }, () => ENTRY) });
    await space.settle(firstSeq + 1);
    expect(await listSeqs(space.keys.log)).toEqual(Array.from({ length: 8 }, (_, i) => firstSeq + 2 + i));
    await space.settle(seq);
    expect(await listSeqs(space.keys.log)).toEqual([seq - 2, seq - 1, seq]);
  });

  it('[D6] trims to the bytes of the window, and nothing that is not committed', async () => {
    const space = await openSpace({ replayWindowBytesMax: 1_000 });
    const first = await space.add({ entries: Array.from({ length: 10 }, () => large(200)) });
    const { seq } = await space.add({ entries: Array.from({ length: 10 }, () => large(200)) });
    await space.settle(first.firstSeq + 1);
    expect(await listSeqs(space.keys.log)).toHaveLength(18);
    await space.settle(seq);
    expect(await listSeqs(space.keys.log)).toEqual([4, 3, 2, 1, 0].map((back) => seq - back));
    const lone = await space.add({ entries: [large(5_000)] });
    await space.settle(seq);
    expect(await listSeqs(space.keys.log)).toEqual([lone.seq]);
    await space.settle(lone.seq);
    expect(await listSeqs(space.keys.log)).toEqual([]);
    const next = await space.add();
    expect(await space.read()).toMatchObject({ entries: [{ seq: next.seq, prev: lone.seq }] });
  });

  it('lists the spaces with pending entries, the longest waiting first', async () => {
    const spaces = await Promise.all([1, 2, 3].map((i) => openSpace({ tenantId: `t-${i}-${Date.now()}` })));
    const seqs: number[] = [];
    for (const space of spaces) seqs.push((await space.add()).seq);
    const own = new Set(spaces.map(({ address }) => address.tenantId));
    const listed = (await spaces[0]?.log.listDirty(100_000)) ?? [];
    expect(listed.map(({ oldestSeq }) => oldestSeq)).toEqual(
      listed.map(({ oldestSeq }) => oldestSeq).sort((a, b) => a - b),
    );
    expect(listed.filter(({ tenantId }) => own.has(tenantId))).toEqual(
      spaces.map(({ address }, i) => ({ ...address, oldestSeq: seqs[i] })),
    );
    expect(await spaces[0]?.log.listDirty(1)).toEqual(listed.slice(0, 1));
    expect(await spaces[0]?.log.listDirty(0)).toEqual([]);
  });

  it('tells of a tenant what was processed, what is queued, and for how long', async () => {
    const space = await openSpace();
    const other = await openSpace({ tenantId: space.address.tenantId });
    expect(await space.log.readStats(space.address.tenantId)).toEqual({
      processed: 0,
      noEffect: 0,
      queued: 0,
      averageLatencyMs: 0,
      durabilityLagMs: 0,
    });
    const { seq } = await space.add({ entries: [{ ops: '[]', count: 7 }] });
    await other.add({ entries: [{ ops: '[]', count: 4 }] });
    const before = await space.log.readStats(space.address.tenantId);
    expect(before).toMatchObject({ processed: 0, queued: 11 });
    expect(before.durabilityLagMs).toBeGreaterThanOrEqual(0);
    await space.settle(seq, { operations: 7, entries: 2, latencyMsSum: 30 });
    await other.settle(1_000);
    expect(await space.log.readStats(space.address.tenantId)).toMatchObject({
      processed: 7,
      queued: 4,
      averageLatencyMs: 15,
    });
    // Old entries weigh less and less.
    for (let i = 0; i < 10; i++)
      await space.settle(seq, { operations: 0, entries: 1_000, latencyMsSum: 5_000 });
    const after = await space.log.readStats(space.address.tenantId);
    expect(after.processed).toBe(7);
    expect(after.averageLatencyMs).toBeCloseTo(5, 1);
  });

  it('counts operations that came to nothing, and notes the last of a space for ten minutes', async () => {
    const space = await openSpace();
    const { log, address } = space;
    const { seq } = await space.add();
    const made = (index: number): NoEffect => ({
      seq,
      index,
      kind: 'object',
      id: `o${index}`,
      status: 'conflict',
    });
    const person: NoEffect = { ...made(7), kind: 'avatar', status: 'unknown_object' };
    expect(await log.readNoEffects(address, 0)).toEqual({ committed: 1_000, operations: [] });
    await space.settle(seq, { operations: 9, noEffects: [person, made(8)] });
    expect(await log.readNoEffects(address, seq - 1)).toEqual({
      committed: seq,
      operations: [person, made(8)],
    });
    expect((await log.readNoEffects(address, seq)).operations).toEqual([]);
    const [key] = (await redis().command('KEYS', `wk:{${address.tenantId}!*:no-effects`)) as string[];
    expect(await redis().command('TTL', key ?? '')).toBeGreaterThan(LIMITS.noEffectsKeptSeconds - 60);
    // Of one batch some are noted, and all are counted.
    const many = Array.from({ length: LIMITS.noEffectsNotedMax + 1 }, (_, i) => made(i));
    for (let round = 0; round < 11; round++)
      await space.settle(seq, {
        operations: 1,
        noEffects: many.map((one) => ({ ...one, seq: seq + round })),
      });
    expect((await log.readStats(address.tenantId)).noEffect).toBe(2 + 11 * many.length);
    const { operations } = await log.readNoEffects(address, 0);
    expect(operations).toHaveLength(LIMITS.noEffectsKeptMax);
    expect(operations.at(-1)?.seq).toBe(seq + 10);
  });
});
