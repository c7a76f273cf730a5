import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { REDIS_WAYS, type RedisWay } from '../../test/redis-ways.ts';
import { startTestRedis, type TestRedis } from '../../test/start-redis.ts';
import { stack } from '../../test/support.ts';
import type { EventEntries } from '../events/event-stores.ts';
import { LIMITS } from '../world/limits.ts';
import type { RedisClient } from './client.ts';
import { createEventLogStore, type EventLogTimes } from './event-log.ts';
import { EVENT_LOG_KEYS, eventIdsKey } from './keys.ts';
import { openTcpRedis } from './tcp.ts';

const [META, LOG, PENDING] = EVENT_LOG_KEYS;
const ALL = { bytesMax: 2 ** 30, eventsMax: 1e6 };
const anonymous = (...texts: string[]) => texts.map((text) => ({ callerId: null, text }));
const named = (...ids: string[]) => ids.map((id) => ({ callerId: id, text: `"${id}"` }));

/** The log of events is one for a Redis, so each file has its own Redis. */
describe.each(REDIS_WAYS)('the log of events, %s', (_, openWay) => {
  let server: TestRedis;
  let way: RedisWay;
  let redis: RedisClient;
  let admin: RedisClient;
  beforeAll(async () => {
    server = await startTestRedis(decodeURIComponent(new URL(stack().redisUrl).password));
    way = await openWay(server.url);
    redis = way.open();
    const password = decodeURIComponent(new URL(server.url).password);
    admin = openTcpRedis({ host: '127.0.0.1', port: server.port, password, timeoutMs: 5_000 });
  });
  beforeEach(async () => {
    await admin.command('CONFIG', 'SET', 'maxmemory', '0');
    await admin.command('FLUSHALL');
  });
  afterAll(async () => {
    await admin?.close();
    await redis?.close();
    await way?.close();
    await server?.stop();
  });
  const open = (times: Partial<EventLogTimes> = {}) => createEventLogStore(redis, times);
  const readAll = async () => (await open().read(null, ALL)) as EventEntries;
  const settleAll = async (token: string | null = null) => {
    const { name, entries } = await readAll();
    return open().settle({ name, cursor: entries.at(-1)?.seq ?? 0, token, ends: false });
  };

  it('[E1a] holds the events of a request in the order of requests, in one command', async () => {
    const log = open();
    expect(await log.append('acme', anonymous('1', '2'))).toEqual({
      accepted: 2,
      duplicates: 0,
      dropped: { backlog: 0, tenantBacklog: 0, memory: 0 },
      drain: { token: expect.any(String), afterMs: 1_000 },
    });
    await log.append('other', anonymous('3'));
    const { entries, settled } = await readAll();
    expect(settled).toBe(0);
    expect(entries.map(({ tenantId, events }) => [tenantId, events])).toEqual([
      ['acme', '[1,2]'],
      ['other', '[3]'],
    ]);
    const [first = 0, second = 0] = entries.map(({ seq }) => seq);
    expect(second).toBeGreaterThan(first);
  });

  it('[E1a] splits a large request into entries of a limited size', async () => {
    const text = JSON.stringify('x'.repeat(LIMITS.entryBytesMax / 4));
    await open().append('acme', anonymous(text, text, text, text, text));
    const { entries } = await readAll();
    expect(entries.map(({ events }) => JSON.parse(events).length)).toEqual([3, 2]);
    const part = (await open().read(null, { bytesMax: 1, eventsMax: 9 })) as EventEntries;
    expect(part.entries).toEqual(entries.slice(0, 1));
    expect(((await open().read(null, { bytesMax: 2 ** 30, eventsMax: 4 })) as EventEntries).entries).toEqual(
      entries.slice(0, 1),
    );
  });

  it('[E3a] takes an id once for each tenant, also within one request', async () => {
    const log = open();
    expect(await log.append('acme', named('a', 'b', 'a'))).toMatchObject({ accepted: 2, duplicates: 1 });
    await settleAll();
    expect(await log.append('acme', named('b', 'c'))).toMatchObject({ accepted: 1, duplicates: 1 });
    expect(await log.append('other', named('a'))).toMatchObject({ accepted: 1, duplicates: 0 });
    expect(await log.append('acme', anonymous('1', '1'))).toMatchObject({ accepted: 2, duplicates: 0 });
    expect(await admin.command('TTL', eventIdsKey('acme'))).toBe(LIMITS.eventIdSeconds);
  });

  it('[E3] keeps the ids of persons apart from the ids of servers', async () => {
    const log = open();
    expect(await log.append('acme', named('a'), 'person')).toMatchObject({ accepted: 1 });
    expect(await log.append('acme', named('a'))).toMatchObject({ accepted: 1, duplicates: 0 });
    expect(await log.append('acme', named('a'), 'person')).toMatchObject({ accepted: 0, duplicates: 1 });
  });

  it('[E3a] forgets an id after an hour', async () => {
    const log = open();
    await log.append('acme', named('old', 'new'));
    const micros = (seconds: number) => String(Date.now() * 1_000 - seconds * 1_000_000);
    const ids = eventIdsKey('acme');
    await admin.command(
      'ZADD',
      ids,
      ...[micros(LIMITS.eventIdSeconds + 1), 'old', micros(LIMITS.eventIdSeconds - 60), 'new'],
    );
    expect(await log.append('acme', named('old', 'new'))).toMatchObject({ accepted: 1, duplicates: 1 });
  });

  it('[E3b] remembers the newest ids of a tenant only', async () => {
    const log = open({ idsKeptMax: 2 });
    await log.append('acme', named('a'));
    await log.append('acme', named('b', 'c'));
    expect(await admin.command('ZCARD', eventIdsKey('acme'))).toBe(2);
    expect(await log.append('acme', named('a', 'c'))).toMatchObject({ accepted: 1, duplicates: 1 });
  });

  it('[E2a] drops events above the limits, of one tenant before all, until a drain has settled', async () => {
    const log = open({ backlogBytesMax: 20, tenantBacklogBytesMax: 10 });
    const outcome = async (tenant: string, ...texts: string[]) => {
      const { accepted, dropped } = await log.append(tenant, anonymous(...texts));
      return [accepted, dropped.tenantBacklog, dropped.backlog];
    };
    expect(await outcome('a', '"12345"', '"1"', '"2"')).toEqual([2, 1, 0]);
    expect(await outcome('b', '"12345678"')).toEqual([1, 0, 0]);
    expect(await outcome('c', '"1"')).toEqual([0, 0, 1]);
    const { name, entries } = await readAll();
    const [first] = entries;
    expect(await log.settle({ name, cursor: first?.seq ?? 0, token: null, ends: false })).toEqual({
      isEmpty: false,
    });
    expect(await admin.command('HGETALL', PENDING)).toEqual(['', '10', 'b', '10']);
    expect(await outcome('a', '"1"')).toEqual([1, 0, 0]);
    expect(await outcome('b', '"1"')).toEqual([0, 1, 0]);
    expect(await settleAll()).toEqual({ isEmpty: true });
    expect(await admin.command('EXISTS', PENDING)).toBe(0);
  });

  it('[E2a] does not remember the id of a dropped event', async () => {
    await open({ tenantBacklogBytesMax: 1 }).append('acme', named('a'));
    expect(await open().append('acme', named('a'))).toMatchObject({ accepted: 1 });
  });

  it('[E2a] counts nothing twice when a settle is repeated', async () => {
    await open().append('a', anonymous('1'));
    const { name, entries } = await readAll();
    const settled = { name, cursor: entries[0]?.seq ?? 0, token: null, ends: false };
    await open().append('a', anonymous('22'));
    await open().settle(settled);
    await open().settle(settled);
    expect(await admin.command('HGETALL', PENDING)).toEqual(['', '2', 'a', '2']);
  });

  it('[E2a] a lost stream does not leave bytes behind that no drain can remove', async () => {
    await open().append('a', anonymous('1'));
    await admin.command('DEL', LOG);
    await open({ backlogBytesMax: 2 }).append('a', anonymous('22'));
    expect(await admin.command('HGETALL', PENDING)).toEqual(['', '2', 'a', '2']);
  });

  it('[E2b] drops the events of a request if the memory of Redis is full, and still drains', async () => {
    const log = open();
    await log.append('acme', anonymous('1'));
    await admin.command('CONFIG', 'SET', 'maxmemory', '1');
    expect(await log.append('acme', anonymous('2', '3'))).toEqual({
      accepted: 0,
      duplicates: 0,
      dropped: { backlog: 0, tenantBacklog: 0, memory: 2 },
      drain: null,
    });
    expect(await settleAll()).toEqual({ isEmpty: true });
  });

  it('[E4b] one append claims the drain, and gives it back when nothing is pending', async () => {
    const log = open();
    const { drain } = await log.append('acme', anonymous('1'));
    expect((await log.append('acme', anonymous('2'))).drain).toBeNull();
    expect(await log.read('another token', ALL)).toEqual({ status: 'relieved' });
    const token = drain?.token ?? '';
    const { name, entries } = (await log.read(token, ALL)) as EventEntries;
    const settle = (cursor: number | undefined, ends: boolean) =>
      log.settle({ name, cursor: cursor ?? 0, token, ends });
    await settle(entries[0]?.seq, false);
    expect((await log.append('acme', anonymous('3'))).drain).toBeNull();
    await settle(entries[1]?.seq, true);
    const next = await log.append('acme', anonymous('4'));
    expect(next.drain?.afterMs).toBe(1_000);
  });

  it('[E4b] a drain that says nothing for its lease has ended: the next append claims another', async () => {
    await open().append('acme', anonymous('1'));
    await admin.command('HSET', META, 'due', String((Date.now() - 10_010) * 1_000));
    expect((await open().append('acme', anonymous('2'))).drain).not.toBeNull();
  });

  it('[E4d] a Redis that forgot its log begins another one', async () => {
    await open().append('acme', anonymous('1'));
    const before = await readAll();
    await admin.command('FLUSHALL');
    await open().append('acme', anonymous('2'));
    const after = await readAll();
    expect(after.name).not.toBe(before.name);
    expect(await open().settle({ name: before.name, cursor: 2 ** 52, token: null, ends: true })).toEqual({
      isEmpty: false,
    });
    expect((await readAll()).entries).toEqual(after.entries);
  });

  it('[E4d] gives no seq that Postgres has already', async () => {
    await open().append('acme', anonymous('1'));
    const { name, entries } = await readAll();
    const beyond = (entries[0]?.seq ?? 0) + 60_000_000;
    await open().settle({ name, cursor: beyond, token: null, ends: false });
    await open().append('acme', anonymous('2'));
    const { settled, entries: next } = await readAll();
    expect(settled).toBe(beyond);
    expect(next[0]?.seq).toBe(beyond + 1);
  });
});
