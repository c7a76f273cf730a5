import { describe, expect, it } from 'vitest';
import { type LogSpace, useLogs } from '../../test/redis-log.ts';
import { REDIS_WAYS } from '../../test/redis-ways.ts';
import type { FindCursor } from '../log/log-stores.ts';
import { KnownLogs } from './known-logs.ts';
import { createLogStore } from './log.ts';

const KEY = { principal: 'p', key: 'k', fingerprint: 'f', ttlSeconds: 60 };
const ALL = { bytesMax: 1e6, entriesMax: 100 };

describe.each(REDIS_WAYS)('a log that lost entries, %s', (_, openWay) => {
  const { redis, openSpace } = useLogs(openWay);

  /** Another process, and what Postgres tells it. */
  function openOther(findCursor: FindCursor | null = null) {
    return createLogStore(redis(), {}, new KnownLogs(redis(), { findCursor }));
  }

  /** Redis comes back as it was before the last entries. */
  async function loseLast(
    space: LogSpace,
    { last, ...fields }: Record<string, number | string>,
    lost: number[],
  ) {
    await redis().command('XDEL', space.keys.log, ...lost.map((seq) => `${seq}-0`));
    await space.setMeta({ last: last ?? 0, ...fields });
  }

  /** Redis is another run of it. */
  const restart = (space: LogSpace) => space.setMeta({ run: 'another', runAt: 0 });

  const tearOf = async (space: LogSpace) => {
    const read = await openOther().read(space.address, { after: null, token: null, ...ALL });
    return read.status === 'read' ? read.tear : null;
  };

  it('[L8d] is broken by a process that acknowledged a seq above its end, and appends behind the break', async () => {
    const space = await openSpace();
    const first = await space.add();
    const lost = await space.add({ idempotency: KEY });
    await loseLast(space, { last: first.seq, counts: '1 1 26' }, [lost.seq]);
    const next = await space.add();
    expect(next.seq).toBeGreaterThan(lost.seq);
    const read = await space.read();
    if (read.status !== 'read') throw new Error(read.status);
    const [one, two] = read.entries;
    expect([one?.seq, two?.seq]).toEqual([first.seq, next.seq]);
    expect(two?.prev).toBeGreaterThan(lost.seq);
    expect(read.tear).toEqual({ at: two?.prev, why: 'lost', lostTo: lost.seq });
    // Its key survived here: it is written again, and not taken for written.
    expect(await space.add({ idempotency: KEY })).toMatchObject({ isRepeat: false });
  });

  it('[L8d] is broken too where another process has appended meanwhile, once', async () => {
    const space = await openSpace();
    const first = await space.add();
    const other = openOther();
    const request = { actor: null, entries: [{ ops: '[]', count: 1 }], waits: false, idempotency: null };
    const rest = { budget: null, opened: null, backlog: { bytesMax: 1e9, entriesMax: 1e9, ageMsMax: 1e9 } };
    await other.append(space.address, { ...request, ...rest });
    const lost = await space.add();
    await redis().command('XDEL', space.keys.log, `${lost.seq}-0`);
    await space.setMeta({ last: first.seq });
    const fresh = await openOther().append(space.address, { ...request, ...rest });
    expect(fresh).toMatchObject({ status: 'appended' });
    expect(await tearOf(space)).toBeNull();
    const next = await space.add();
    const tear = await tearOf(space);
    expect(tear).toMatchObject({ why: 'lost', lostTo: lost.seq });
    await space.add();
    expect(await tearOf(space)).toEqual(tear);
    expect(next.seq).toBeGreaterThan(tear?.at ?? Number.POSITIVE_INFINITY);
  });

  it('[L8d] what was trimmed away is not taken for lost', async () => {
    const space = await openSpace();
    await space.add();
    await openOther().append(space.address, {
      actor: null,
      entries: [{ ops: '[]', count: 1 }],
      waits: false,
      idempotency: null,
      budget: null,
      opened: null,
      backlog: { bytesMax: 1e9, entriesMax: 1e9, ageMsMax: 1e9 },
    });
    await redis().command('XTRIM', space.keys.log, 'MAXLEN', '1');
    await space.add();
    expect(await tearOf(space)).toBeNull();
  });

  it.each([
    ['append', (space: LogSpace) => space.add()],
    ['read', (space: LogSpace) => space.read()],
    ['readChanges', (space: LogSpace) => space.log.readChanges(space.address, { after: 0, ...ALL })],
  ])('[L8f] in another run of Redis, the first %s compares it with Postgres', async (_name, use) => {
    const asked: string[] = [];
    let cursor = 0;
    const findCursor: FindCursor = async ({ spaceId }) => {
      asked.push(spaceId);
      return cursor;
    };
    const space = await openSpace({ findCursor });
    const { seq } = await space.add();
    await space.settle(seq);
    cursor = Date.now() * 1_000 + 60_000_000;
    await use(space);
    expect(asked).toEqual([]);
    const { last = '' } = await space.meta();
    await space.settle(Number(last));
    await restart(space);
    await use(space);
    await use(space);
    expect(asked).toEqual([space.address.spaceId]);
    expect(await tearOf(space)).toMatchObject({ why: 'behind', at: cursor + 1 });
  });

  it('[L8f] in another run of Redis, entries that waited are told of', async () => {
    const space = await openSpace({ findCursor: async () => null });
    const { seq } = await space.add();
    await restart(space);
    expect(await space.read()).toMatchObject({ restartedAt: seq, last: seq, tear: null });
    // Not one that waited for nothing.
    const idle = await openSpace({ findCursor: async () => null });
    await idle.settle((await idle.add()).seq);
    await restart(idle);
    expect(await idle.read()).toMatchObject({ restartedAt: 0 });
  });

  it('[L8f] in another run of Redis, a log is written while Postgres is away, and compared when it is back', async () => {
    let isAway = true;
    const space = await openSpace({ findCursor: async () => (isAway ? 'away' : 0) });
    await restart(space);
    await space.add();
    expect((await space.meta()).run).toBe('another');
    isAway = false;
    await space.add();
    expect((await space.meta()).run).not.toBe('another');
    expect((await space.meta()).restartedAt).toBeDefined();
  });
});
