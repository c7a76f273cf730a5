import { describe, expect, it } from 'vitest';
import { useLogs } from '../../test/redis-log.ts';
import { REDIS_WAYS } from '../../test/redis-ways.ts';
import { createLogStore } from './log.ts';

const ALL = { bytesMax: 1e6, entriesMax: 1_000 };
const ops = (text: string) => ({ ops: `[{"op":"delete","id":"${text}"}]`, count: 1 });

describe.each(REDIS_WAYS)('the log, read by followers: %s', (_, openWay) => {
  const { openSpace, redis } = useLogs(openWay);

  it('[R1f] has what came behind a cursor, and where it ends', async () => {
    const { log, address, add, opened } = await openSpace();
    const { firstSeq, seq } = await add({ actor: 'ann', entries: [ops('a'), ops('ü🌍')] });
    const behind = await log.readChanges(address, { after: opened.cursor, ...ALL });
    expect(behind).toEqual({
      status: 'read',
      incarnation: opened.incarnation,
      last: seq,
      committed: opened.cursor,
      entries: [
        { seq: firstSeq, prev: opened.cursor, actor: 'ann', ops: ops('a').ops, count: 1, waits: false },
        { seq, prev: firstSeq, actor: 'ann', ops: ops('ü🌍').ops, count: 1, waits: false },
      ],
    });
    expect(await log.readChanges(address, { after: firstSeq, ...ALL })).toMatchObject({ entries: [{ seq }] });
    expect(await log.readChanges(address, { after: seq, ...ALL })).toMatchObject({ last: seq, entries: [] });
    expect(await log.readChanges(address, { after: null, ...ALL })).toMatchObject({ last: seq, entries: [] });
  });

  it('[R1f] is read in pieces of so many entries and bytes, one at least', async () => {
    const { log, address, add, opened } = await openSpace();
    await add({ entries: Array.from({ length: 40 }, (_, i) => ops(`o${i}`)) });
    const read = async (bytesMax: number, entriesMax: number) => {
      const outcome = await log.readChanges(address, { after: opened.cursor, bytesMax, entriesMax });
      return outcome.status === 'read' ? outcome.entries.length : null;
    };
    expect(await read(1, 1_000)).toBe(1);
    expect(await read(1e6, 33)).toBe(33);
    expect(await read(ops('o1').ops.length * 3, 1_000)).toBe(3);
    expect(await read(1e6, 1_000)).toBe(40);
  });

  it('[R1f] takes no lease and changes nothing', async () => {
    const { log, address, add, opened, dump } = await openSpace();
    await add({});
    const before = await dump();
    await log.readChanges(address, { after: opened.cursor, ...ALL });
    expect(await dump()).toEqual(before);
  });

  it('says what became of a space: not known, deleted, made again', async () => {
    const { log, address, append, add, opened } = await openSpace({ isOpened: false });
    const fresh = () => createLogStore(redis()).readChanges(address, { after: 0, ...ALL });
    expect(await fresh()).toEqual({ status: 'cold' });
    await append({ opened, entries: [] });
    await add({});
    await log.retire(address, opened.incarnation);
    expect(await fresh()).toEqual({ status: 'deleted', incarnation: opened.incarnation });
    const again = { incarnation: `${opened.incarnation}-2`, incarnationSeq: 2_000, cursor: 2_000 };
    await createLogStore(redis()).append(address, {
      actor: null,
      entries: [],
      waits: false,
      idempotency: null,
      budget: null,
      opened: again,
      backlog: { bytesMax: 1e9, entriesMax: 1e9, ageMsMax: 1e9 },
    });
    expect(await log.readChanges(address, { after: 0, ...ALL })).toMatchObject({
      status: 'read',
      incarnation: again.incarnation,
      last: 2_000,
      entries: [],
    });
  });
});
