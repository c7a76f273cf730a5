import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Count, EventLogOptions } from '../src/events/event-log.ts';
import { EventLog } from '../src/events/event-log.ts';
import type { EventLogStore, EventTable } from '../src/events/event-stores.ts';
import { OwnEvents } from '../src/events/own-events.ts';
import { pause } from '../src/helpers/time.ts';
import type { Postgres } from '../src/postgres/client.ts';
import { createEventTable } from '../src/postgres/event-table.ts';
import type { RedisClient } from '../src/redis/client.ts';
import { createEventLogStore } from '../src/redis/event-log.ts';
import { openTcpRedis } from '../src/redis/tcp.ts';
import { AppError } from '../src/world/errors.ts';
import type { WorldEvent } from '../src/world/event.ts';
import { LIMITS } from '../src/world/limits.ts';
import { readEvents } from './event-rows.ts';
import { DATABASES, openTestPg } from './layers.ts';
import { Killed, wrapStore } from './log/rig.ts';
import { startTestRedis, type TestRedis } from './start-redis.ts';
import { uniqueName } from './support.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

const PASSWORD = 'a-long-password';
const BUDGET = { budgetMs: 20_000 };
/** Nothing runs by itself. */
const never = () => undefined;
const event = (id: string): WorldEvent => ({ id, type: 'tested' });

/** The log of events is one for a Redis, so this file has its own. */
describe('the events of a deployment', () => {
  let server: TestRedis;
  let proxy: TcpProxy;
  let redis: RedisClient;
  let admin: RedisClient;
  let postgres: Postgres;
  beforeAll(async () => {
    server = await startTestRedis(PASSWORD);
    proxy = await startTcpProxy(server.port);
    const tcp = { host: '127.0.0.1', password: PASSWORD };
    redis = openTcpRedis({ ...tcp, port: proxy.port, timeoutMs: 5_000 });
    admin = openTcpRedis({ ...tcp, port: server.port, timeoutMs: 5_000 });
    postgres = openTestPg();
  });
  beforeEach(async () => {
    await admin.command('FLUSHALL');
  });
  afterAll(async () => {
    await Promise.all([redis?.close(), admin?.close(), postgres?.close()]);
    await proxy?.close();
    await server?.stop();
  });

  function open(
    stores: { redis?: EventLogStore | null; table?: EventTable } = {},
    options: Partial<EventLogOptions> = {},
  ) {
    const counts: Record<string, number> = {};
    const count: Count = (name, labels, n) => {
      const key = [name, ...Object.values(labels)].join(' ');
      counts[key] = (counts[key] ?? 0) + n;
    };
    const table = stores.table ?? createEventTable(postgres);
    const store = stores.redis === undefined ? createEventLogStore(redis) : stores.redis;
    let id = 0;
    const createId = () => `made-${++id}`;
    return { counts, log: new EventLog(store, table, { now: Date.now, pause, createId, count, ...options }) };
  }

  it('[E4a] a process that ends at any call to a store neither loses nor doubles an event', async () => {
    const makeProcess = (n: number, when: 'before' | 'after') => {
      let calls = 0;
      const intercept = async (_: string, call: () => Promise<unknown>) => {
        const at = ++calls;
        if (at > n || (at === n && when === 'before')) throw new Killed();
        const answer = await call();
        if (at === n) throw new Killed();
        return answer;
      };
      const stores = {
        redis: wrapStore(createEventLogStore(admin), intercept),
        table: wrapStore(createEventTable(postgres), intercept),
      };
      return { ...open(stores), calls: () => calls };
    };
    const run = async (n: number, when: 'before' | 'after') => {
      const tenant = uniqueName('tenant');
      const process = makeProcess(n, when);
      const { dropped } = await process.log.append(tenant, [event('a'), event('b')], never);
      await process.log.append(tenant, [event('c')], never);
      await process.log.drain(BUDGET).catch(never);
      const { log } = open();
      // The caller sends again what was dropped.
      if (dropped > 0) await log.append(tenant, [event('a'), event('b')], never);
      await log.append(tenant, [event('c')], never);
      await log.drain(BUDGET);
      await process.log.drain(BUDGET).catch(never);
      expect((await readEvents(postgres, tenant)).map(({ id }) => id).sort()).toEqual(['a', 'b', 'c']);
      return process.calls();
    };
    const calls = await run(Number.POSITIVE_INFINITY, 'before');
    expect(calls).toBe(6);
    for (let n = 1; n <= calls; n++) for (const when of ['before', 'after'] as const) await run(n, when);
  });

  it('[E4a] drains that run at the same time store each event once', async () => {
    const tenant = uniqueName('tenant');
    const { log, counts } = open();
    const ids = Array.from({ length: 40 }, (_, i) => `e${i}`);
    const appends = ids.map((id) => log.append(tenant, [event(id)], never));
    const drains = Array.from({ length: 8 }, () => open().log.drain(BUDGET));
    await Promise.all([...appends, ...drains]);
    await log.drain(BUDGET);
    expect((await readEvents(postgres, tenant)).map(({ id }) => id).sort()).toEqual(ids.sort());
    expect(counts['events_received accepted']).toBe(40);
  });

  it('[E4a] a restored Postgres gets the later events', async () => {
    const tenant = uniqueName('tenant');
    const { log } = open();
    await log.append(tenant, [event('a')], never);
    await log.drain(BUDGET);
    const name = String(await admin.command('HGET', 'wk:{!events}:meta', 'name'));
    await admin.command('HSET', 'wk:{!events}:meta', 'name', `${name}-as-if-forgotten`);
    await log.append(tenant, [event('b')], never);
    expect(await log.drain(BUDGET)).toEqual({ stored: 1, refused: 0, isDone: true });
  });

  it('[E4c] a batch that is too large for Postgres is sent in parts', async () => {
    const tenant = uniqueName('tenant');
    const sizes: number[] = [];
    const table = createEventTable(postgres);
    const { log } = open({
      table: {
        storeEvents(batch) {
          sizes.push(batch.entries.length);
          const refusal = new AppError('store_unavailable', 'Too large.', { retrySmaller: true });
          return batch.entries.length > 1 ? Promise.reject(refusal) : table.storeEvents(batch);
        },
      },
    });
    const text = 'x'.repeat(LIMITS.eventDataBytesMax - 20);
    for (const id of ['a', 'b'])
      await log.append(
        tenant,
        Array.from({ length: 31 }, (_, i) => ({ id: `${id}${i}`, type: 'large', data: { text } })),
        never,
      );
    expect(await log.drain(BUDGET)).toMatchObject({ stored: 62 });
    expect(sizes).toEqual([2, 1, 1]);
  });

  it('[E1b] an event keeps its time, and its time of acceptance is the seq of its entry', async () => {
    const tenant = uniqueName('tenant');
    const { log } = open({}, { now: () => Date.parse('2026-11-01T10:00:00Z') });
    const at = '2026-10-30T12:00:00+02:00';
    await log.append(
      tenant,
      [{ type: 'a', at, spaceId: 's', userId: 'u', data: { x: 1 } }, { type: 'b' }],
      never,
    );
    const read = await createEventLogStore(admin).read(null, { bytesMax: 1, eventsMax: 1 });
    const seq = read.status === 'read' ? (read.entries[0]?.seq ?? 0) : 0;
    await log.drain(BUDGET);
    const createdAt = new Date(seq / 1_000).toISOString();
    expect(await readEvents(postgres, tenant)).toEqual([
      {
        id: 'made-1',
        type: 'a',
        spaceId: 's',
        userId: 'u',
        at: '2026-10-30T10:00:00.000Z',
        data: { x: 1 },
        createdAt,
      },
      {
        id: 'made-2',
        type: 'b',
        spaceId: null,
        userId: null,
        at: '2026-11-01T10:00:00.000Z',
        data: {},
        createdAt,
      },
    ]);
  });

  it('[E4b] an append that claims the drain starts it, and the end of the process starts it early', async () => {
    const tenant = uniqueName('tenant');
    const deferred: Promise<unknown>[] = [];
    const waits: number[] = [];
    const { log } = open(
      {},
      {
        pause(ms, signal) {
          waits.push(ms);
          return pause(3_600_000, signal);
        },
      },
    );
    await log.append(tenant, [event('a')], (work) => deferred.push(work));
    await log.append(tenant, [event('b')], (work) => deferred.push(work));
    expect([deferred.length, waits]).toEqual([1, [1_000]]);
    log.end();
    await Promise.all(deferred);
    expect(await readEvents(postgres, tenant)).toHaveLength(2);
  });

  it('[E2c] drops and counts events while no store takes them, and tells so once', async () => {
    const told: string[] = [];
    const { log, counts } = open({}, { onEvent: ({ event }) => told.push(event) });
    proxy.inject({ kind: 'refuse' });
    try {
      for (let i = 0; i < 2; i++)
        expect(await log.append('t', [event('a'), event('b')], never)).toEqual({
          accepted: 0,
          duplicates: 0,
          dropped: 2,
        });
    } finally {
      proxy.clear();
    }
    expect(counts).toEqual({ 'events_received dropped store_away': 4 });
    expect(told).toEqual(['events_dropped']);
  });

  it('[E2c] drops and counts events that no store takes within a second', async () => {
    const slow = createEventLogStore(admin);
    const { log, counts } = open({ redis: { ...slow, append: () => new Promise(never) } });
    expect(await log.append('t', [event('a')], never)).toMatchObject({ dropped: 1 });
    expect(counts).toEqual({ 'events_received dropped late': 1 });
  });

  it('[E2a] counts dropped events by the limit', async () => {
    const limits = { backlogBytesMax: 160, tenantBacklogBytesMax: 100 };
    const { log, counts } = open({ redis: createEventLogStore(admin, limits) });
    const two = [event('a'), event('b')];
    expect(await log.append('t', two, never)).toEqual({ accepted: 1, duplicates: 0, dropped: 1 });
    await log.append('u', two, never);
    await log.append('v', two, never);
    expect(counts).toEqual({
      'events_received accepted': 2,
      'events_received dropped tenant_backlog': 1,
      'events_received dropped backlog': 3,
    });
  });

  it('[E2d] drops and counts all events while analytics is off', async () => {
    const { log, counts } = open({}, { isEnabled: false });
    expect(await log.append('t', [event('a')], never)).toEqual({ accepted: 0, duplicates: 0, dropped: 1 });
    expect(counts).toEqual({ 'events_received dropped disabled': 1 });
    const own = new OwnEvents(log, { now: Date.now, pause });
    own.record('t', { type: 'space.created' }, () => expect.unreachable());
    expect(await admin.command('EXISTS', 'wk:{!events}:log')).toBe(0);
  });

  it.each(Object.entries(DATABASES))(
    '[E4e] stores events directly without a Redis, %s',
    async (_, openDb) => {
      const database = openDb();
      await database.ping();
      const tenant = uniqueName('tenant');
      const { log, counts } = open({ redis: null, table: createEventTable(database) });
      const counted = { accepted: 2, duplicates: 0, dropped: 0 };
      expect(await log.append(tenant, [event('a'), event('b')], never)).toEqual(counted);
      expect((await readEvents(database, tenant)).map(({ id }) => id).sort()).toEqual(['a', 'b']);
      expect(counts).toEqual({ 'events_received accepted': 2, 'events_stored stored': 2 });
      expect(await log.drain(BUDGET)).toEqual({ stored: 0, refused: 0, isDone: true });
      await database.close();
    },
  );

  it('[E5a] gathers the events of the product, by tenant, and appends them a moment later', async () => {
    const { log } = open();
    const [a, b] = [uniqueName('tenant'), uniqueName('tenant')];
    let nowMs = Date.now();
    const deferred: Promise<unknown>[] = [];
    const defer = (work: Promise<unknown>) => void deferred.push(work);
    const own = new OwnEvents(log, { now: () => nowMs, pause: (_, signal) => pause(3_600_000, signal) });
    own.record(a, { type: 'space.created', spaceId: 's' }, defer);
    own.record(b, { type: 'space.saved', spaceId: 's' }, defer);
    expect(deferred).toHaveLength(1);
    // The request that was to append them has ended before.
    nowMs += 5_000;
    own.record(a, { type: 'space.deleted', spaceId: 's' }, defer);
    expect(deferred).toHaveLength(2);
    await own.end(never);
    await Promise.all(deferred);
    await log.drain(BUDGET);
    expect((await readEvents(postgres, a)).map(({ type }) => type).sort()).toEqual([
      'space.created',
      'space.deleted',
    ]);
    expect((await readEvents(postgres, b)).map(({ type }) => type)).toEqual(['space.saved']);
  });

  it('[E5b] drops and counts events of the product above the limit of a process', () => {
    const { log, counts } = open();
    const own = new OwnEvents(log, { now: Date.now, pause: () => new Promise(never) });
    for (let i = 0; i < LIMITS.ownEventsHeldMax + 2; i++) own.record('t', { type: 'user.spawn' }, never);
    expect(counts).toEqual({ 'events_received dropped held': 2 });
  });
});
