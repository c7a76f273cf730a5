import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { readEvents } from '../test/event-rows.ts';
import { openTestPg } from '../test/layers.ts';
import { stack, uniqueName } from '../test/support.ts';
import { startTcpProxy, type TcpProxy } from '../test/tcp-proxy.ts';
import {
  type BatchNoEffect,
  BatchProcessor,
  CacheManager,
  type NodeBatchOptions,
  PersistenceLayer,
} from './index.ts';
import { Drain } from './log/drain.ts';

/** Longer than any test: what is sent is not sent by the clock. */
const NEVER_MS = 3_600_000;

/** A turn of the event loop, in which a connection may be made. */
const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

describe('BatchProcessor, on a Node server with its stores over TCP', () => {
  let proxy: TcpProxy;
  let redis: Redis;
  beforeAll(async () => {
    proxy = await startTcpProxy(Number(new URL(stack().redisUrl).port));
    redis = new Redis(stack().redisUrl);
  });
  afterAll(async () => {
    redis?.disconnect();
    await proxy?.close();
  });

  let tenantId: string;
  let persistence: PersistenceLayer;
  let cache: CacheManager;
  const opened: BatchProcessor[] = [];
  beforeEach(async () => {
    tenantId = uniqueName('batch');
    persistence = new PersistenceLayer({ databaseUrl: stack().databaseUrl, tenantId, poolSize: 4 });
    const { password } = new URL(stack().redisUrl);
    cache = new CacheManager({
      host: '127.0.0.1',
      port: proxy.port,
      password: decodeURIComponent(password),
      tenantId,
      timeoutMs: 1_000,
    });
    await persistence.connect();
  });
  afterEach(async () => {
    proxy.clear();
    vi.useRealTimers();
    for (const batch of opened.splice(0)) await batch.shutdown().catch(() => undefined);
    await cache.disconnect();
    await persistence.disconnect();
  });

  function open(options: NodeBatchOptions = {}): BatchProcessor {
    const batch = new BatchProcessor(persistence, cache, { flushMs: NEVER_MS, ...options });
    opened.push(batch);
    return batch;
  }
  const put = (count: number, prefix = 'o') =>
    Array.from({ length: count }, (_, i) => ({ objectId: `${prefix}-${i}`, position: { x: i, y: 0, z: 0 } }));
  const objects = async () =>
    new Map((await persistence.loadWorldState()).objects.map((object) => [object.id, object]));
  /** The operations of every entry of the space's log, in its order. */
  async function readLog(spaceId = 'main'): Promise<{ seq: number; actor: string; ops: string }[]> {
    const { incarnation } = await redis.hgetall(`wk:{${tenantId}!${spaceId}}:meta`);
    const entries = await redis.xrange(`wk:{${tenantId}!${spaceId}}:${incarnation}:log`, '-', '+');
    return entries.map(([id, fields]) => ({
      seq: Number.parseInt(id, 10),
      actor: fields[fields.indexOf('a') + 1] ?? '',
      ops: fields[fields.indexOf('o') + 1] ?? '',
    }));
  }

  it('says what became of each operation where every write waits for its commit', async () => {
    const batch = open({ flushMs: 1, log: { commitsAlways: true } });
    const [made, again, unknown] = await Promise.all([
      batch.add('objectSaves', { objectId: 'lamp', ifSeq: 0 }),
      batch.add('objectSaves', { objectId: 'lamp', ifSeq: 7 }),
      batch.add('objectDeletes', { objectId: 'nothing' }),
    ]);
    expect(made).toEqual({ seq: expect.any(Number), durability: 'committed', status: 'applied' });
    expect([again, unknown].map(({ status }) => status)).toEqual(['conflict', 'unknown_object']);
    const queued = await open({ flushMs: 1 }).add('objectDeletes', { objectId: 'lamp' });
    expect(queued).toEqual({ seq: expect.any(Number), durability: 'queued' });
  });

  it('ends no process if nobody awaits add and an operation is refused', async () => {
    const script = `
      import { BatchProcessor, CacheManager, PersistenceLayer } from ${JSON.stringify(resolve(import.meta.dirname, 'index.ts'))};
      const persistence = new PersistenceLayer({ databaseUrl: process.env.DATABASE_URL, tenantId: process.env.TENANT_ID });
      const cache = new CacheManager({ host: process.env.REDIS_HOST, port: process.env.REDIS_PORT, password: process.env.REDIS_PASSWORD });
      const batchProcessor = new BatchProcessor(persistence, cache);
      await persistence.connect();
      await persistence.saveObject({ id: 'obj-123' });
      batchProcessor.add('objectUpdates', { objectId: 'obj-123', position: { x: 10, y: 20, z: 30 }, updatedBy: 'user-456' });
      batchProcessor.add('objectUpdates', { objectId: 'obj-123', position: 'nowhere' });
      batchProcessor.add('nothing', {});
      batchProcessor.add('objectUpdates', { objectId: 'obj-123', spaceId: 'nowhere', name: 'n' });
      await batchProcessor.flush('objectUpdates');
      const stats = batchProcessor.getStats();
      await batchProcessor.shutdown();
      const { objects } = await persistence.loadWorldState('main');
      await cache.disconnect();
      await persistence.disconnect();
      console.log(JSON.stringify({ stats, objects }));`;
    const { hostname, port, password } = new URL(stack().redisUrl);
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      env: {
        DATABASE_URL: stack().databaseUrl,
        TENANT_ID: tenantId,
        REDIS_HOST: hostname,
        REDIS_PORT: port,
        REDIS_PASSWORD: decodeURIComponent(password),
      },
    });
    const { stats, objects: written } = JSON.parse(stdout);
    expect(stats).toMatchObject({ processed: 1, failed: 3, queued: 0 });
    expect(written).toMatchObject([
      { id: 'obj-123', position: { x: 10, y: 20, z: 30 }, updatedBy: 'user-456' },
    ]);
  });

  it('sends immediately at 100 items, and not at 99', async () => {
    const batch = open();
    const items = put(100);
    const added = items.slice(0, 99).map((item) => batch.add('objectSaves', item));
    expect(batch.getStats()).toMatchObject({ batches: 0, queued: 99, queues: { objectSaves: 99 } });
    added.push(batch.add('objectSaves', items[99]));
    expect(batch.getStats()).toMatchObject({ queued: 100, queues: { objectSaves: 0 } });
    const results = await Promise.all(added);
    expect(new Set(results.map(({ seq }) => seq)).size).toBe(1);
    expect(results[0]).toEqual({ seq: expect.any(Number), durability: 'queued' });
    const stats = batch.getStats();
    expect(stats).toMatchObject({ processed: 100, queued: 0, failed: 0, batches: 1 });
    expect(stats.averageLatency).toBeGreaterThan(0);
    expect((await readLog()).map(({ ops }) => JSON.parse(ops).length)).toEqual([100]);
  });

  it('sends what has waited for 100 ms', async () => {
    const batch = new BatchProcessor(persistence, cache);
    opened.push(batch);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const added = batch.add('objectSaves', { objectId: 'a' });
    vi.advanceTimersByTime(60);
    const later = batch.add('objectSaves', { objectId: 'b' });
    vi.advanceTimersByTime(39);
    expect(batch.getStats().queues.objectSaves).toBe(2);
    vi.advanceTimersByTime(1);
    expect(batch.getStats().queues.objectSaves).toBe(0);
    vi.useRealTimers();
    expect((await added).seq).toBe((await later).seq);
    expect(batch.getStats().processed).toBe(2);
  });

  it('takes every type, and each does what it says', async () => {
    await persistence.upsertUser({ id: 'ann', displayName: 'Ann' });
    const batch = open();
    batch.add('objectSaves', { objectId: 'saved', name: 'Saved', scale: { x: 2, y: 2, z: 2 } });
    batch.add('objectSaves', { id: 'gone' });
    batch.add('objectUpdates', { objectId: 'saved', position: { x: 1 }, properties: { a: 1 } });
    batch.add('objectDeletes', { objectId: 'gone' });
    batch.add('userUpdates', { userId: 'ann', position: { x: 1, y: 2, z: 3 } });
    batch.add('operations', { op: 'put', id: 'op', ifSeq: 0 });
    await batch.shutdown();
    const { objects: written, users } = await persistence.loadWorldState();
    expect(written.map(({ id }) => id)).toEqual(['op', 'saved']);
    expect(written[1]).toMatchObject({
      name: 'Saved',
      position: { x: 1, y: 0, z: 0 },
      scale: { x: 2, y: 2, z: 2 },
      properties: { a: 1 },
    });
    expect(users).toMatchObject([{ id: 'ann', position: { x: 1, y: 2, z: 3 } }]);
    expect(batch.getStats()).toMatchObject({ processed: 6, batches: 1 });
  });

  it('[M7] appends each message on its own, and one that is refused delays nothing', async () => {
    const batch = open({ log: { messagesPerMinute: 2 } });
    const texts = ['one', 'two', 'three'];
    const ofAnn = texts.map((text) => batch.add('chatMessages', { userId: 'ann', text }));
    const moved = batch.add('objectSaves', { objectId: 'o', updatedBy: 'ann' });
    const ofBob = batch.add('chatMessages', { userId: 'bob', text: 'four', id: 'once' });
    const again = batch.add('operations', { op: 'chat.post', userId: 'bob', text: 'four', id: 'once' });
    expect(batch.getStats().queues).toMatchObject({ chatMessages: 4, operations: 1 });
    await batch.flush('operations');
    const [first, second, third] = await Promise.allSettled(ofAnn);
    expect([first, second]).toMatchObject(Array(2).fill({ status: 'fulfilled' }));
    expect(third).toMatchObject({ status: 'rejected', reason: { code: 'rate_limited' } });
    expect((await ofBob).messageId).toBe((await again).messageId);
    expect((await moved).durability).toBe('queued');
    await expect(batch.add('chatMessages', { text: '' })).rejects.toMatchObject({
      code: 'validation_failed',
    });
    expect(batch.getStats()).toMatchObject({ processed: 5, failed: 2, queued: 0 });
    await batch.shutdown();
    const { chat } = await persistence.loadWorldState();
    expect(chat.map(({ userId, text }) => [userId, text]).sort()).toEqual([
      ['ann', 'one'],
      ['ann', 'two'],
      ['bob', 'four'],
    ]);
    const { items } = await persistence.listMessages({ limit: 1 });
    expect(items).toEqual(chat.slice(-1));
    await persistence.deleteMessage(items[0]?.id ?? '');
    const posted = await persistence.postMessage({ text: 'last' });
    expect((await persistence.listMessages()).items.map(({ id }) => id)[0]).toBe(posted.message.id);
    expect((await persistence.loadWorldState()).chat).toHaveLength(3);
  });

  it('keeps the order of operations, whatever their type', async () => {
    const batch = open();
    batch.add('objectDeletes', { objectId: 'other' });
    batch.add('objectSaves', { objectId: 'o', name: 'first' });
    batch.add('objectDeletes', { objectId: 'o' });
    batch.add('objectSaves', { objectId: 'later' });
    await batch.flush('objectDeletes');
    // With it went what was added before it, and nothing else.
    expect(batch.getStats().queues).toMatchObject({ objectSaves: 1, objectDeletes: 0 });
    await batch.shutdown();
    expect([...(await objects()).keys()]).toEqual(['later']);
  });

  it('names who did it: updatedBy becomes the author, and authors go side by side', async () => {
    const batch = open({ itemsMax: 1_000 });
    for (const item of put(100)) {
      const number = Number(item.objectId.slice(2));
      batch.add('objectSaves', { ...item, ...(number % 5 !== 0 && { updatedBy: `user-${number % 5}` }) });
    }
    await batch.flushAll();
    // Five authors, one of them nobody: five appends.
    expect(batch.getStats()).toMatchObject({ processed: 100, batches: 5 });
    expect((await readLog()).map(({ actor }) => actor).sort()).toEqual([
      ...['', 'user-1', 'user-2', 'user-3', 'user-4'],
    ]);
    await batch.shutdown();
    const written = await objects();
    expect([written.get('o-0')?.updatedBy, written.get('o-7')?.createdBy]).toEqual([null, 'user-2']);
  });

  it('keeps the order of what several do to one object', async () => {
    const batch = open();
    for (let i = 0; i < 20; i++) {
      const updatedBy = ['ann', 'bob', null][i % 3];
      batch.add(i === 0 ? 'objectSaves' : 'objectUpdates', { objectId: 'shared', name: `n${i}`, updatedBy });
      batch.add('objectSaves', { objectId: `own-${updatedBy}`, name: `n${i}`, updatedBy });
    }
    await batch.shutdown();
    const names = (await readLog()).flatMap(({ ops }) =>
      (JSON.parse(ops) as { id: string; name: string }[]).filter(({ id }) => id === 'shared'),
    );
    expect(names.map(({ name }) => name)).toEqual(Array.from({ length: 20 }, (_, i) => `n${i}`));
    expect((await objects()).get('own-null')?.name).toBe('n17');
  });

  it('keeps the order of a space where the first append has to be tried again', async () => {
    const batch = open({
      itemsMax: 2,
      pause: () => {
        proxy.clear();
        return turn();
      },
    });
    proxy.inject({ kind: 'refuse' });
    const added = [1, 2, 3, 4, 5, 6].map((x) =>
      batch.add(x === 1 ? 'objectSaves' : 'objectUpdates', { objectId: 'o', position: { x, y: 0, z: 0 } }),
    );
    const seqs = (await Promise.all(added)).map(({ seq }) => seq ?? 0);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    await batch.shutdown();
    expect((await objects()).get('o')?.position.x).toBe(6);
  });

  it('sends what an answer was lost of once more under its key, and it is done once', async () => {
    const batch = open({ pause: turn });
    const warm = batch.add('objectSaves', { objectId: 'o' });
    await batch.flushAll();
    await warm;
    const marker = uniqueName('lost');
    proxy.inject({ kind: 'drop-reply', match: marker });
    const added = batch.add('objectUpdates', { objectId: 'o', name: marker });
    await batch.flushAll();
    const { seq } = await added;
    const entries = (await readLog()).filter(({ ops }) => ops.includes(marker));
    expect(entries.map((entry) => entry.seq)).toEqual([seq]);
    expect(batch.getStats()).toMatchObject({ processed: 2, failed: 0, batches: 2 });
  });

  it('rejects what is wrong by itself, with its place, and takes the rest', async () => {
    const batch = open();
    const refused = [
      ['objectUpdates', { objectId: 'a/b' }, '/ops/0/id'],
      ['objectUpdates', { objectId: 'o', position: { x: 'NaN' } }, '/ops/0/position/x'],
      ['objectUpdates', { objectId: 'o', colour: 'red' }, '/ops/0/colour'],
      ['objectUpdates', { objectId: 'o', spaceId: 'a/b' }, '/spaceId'],
      ['objectUpdates', { objectId: 'o', updatedBy: '' }, '/updatedBy'],
      ['userUpdates', { position: { x: 1, y: 2, z: 3 } }, '/ops/0/id'],
      ['operations', { op: 'stage', id: 'o' }, '/ops/0/op'],
      ['objectUpdates', null, ''],
      ['objectUpdates', [], ''],
      ['nothing', {}, '/type'],
    ] as const;
    const good = batch.add('objectSaves', { objectId: 'good' });
    for (const [type, operation, path] of refused)
      await expect(batch.add(type, operation)).rejects.toMatchObject({
        code: 'validation_failed',
        errors: [{ path }],
      });
    const nowhere = batch.add('objectSaves', { objectId: 'o', spaceId: 'nowhere' });
    await batch.flushAll();
    await expect(nowhere).rejects.toMatchObject({ code: 'not_found' });
    expect((await good).durability).toBe('queued');
    expect(batch.getStats()).toMatchObject({ processed: 1, failed: refused.length + 1, queued: 0 });
    await expect(batch.flush('nothing')).rejects.toMatchObject({ code: 'validation_failed' });
  });

  it('keeps what it was given, whatever becomes of the caller’s object', async () => {
    const batch = open();
    const item = { objectId: 'o', position: { x: 1, y: 0, z: 0 }, properties: { deep: { a: 1 } } };
    batch.add('objectSaves', item);
    item.position.x = 2;
    item.properties.deep.a = 2;
    await batch.shutdown();
    expect((await objects()).get('o')).toMatchObject({ position: { x: 1 }, properties: { deep: { a: 1 } } });
  });

  it('holds no more than it may', async () => {
    const batch = open({ queueItemsMax: 3 });
    const added = put(3).map((item) => batch.add('objectSaves', item));
    await expect(batch.add('objectSaves', { objectId: 'more' })).rejects.toMatchObject({
      code: 'backlog_full',
      message: expect.stringContaining('At most 3 operations'),
    });
    await batch.flushAll();
    await Promise.all(added);
    expect(batch.getStats()).toMatchObject({ processed: 3, failed: 1, queued: 0 });
    await expect(
      Promise.all([batch.add('objectSaves', { objectId: 'more' }), batch.flushAll()]),
    ).resolves.toMatchObject([{ durability: 'queued' }, undefined]);
  });

  describe('shutdown', () => {
    it('loses nothing: what was added is in Postgres when it is through', async () => {
      const batch = open();
      for (const item of put(2_350)) void batch.add('objectSaves', item);
      await batch.shutdown();
      expect((await objects()).size).toBe(2_350);
      expect(batch.getStats()).toMatchObject({ processed: 2_350, queued: 0, failed: 0 });
      await expect(batch.add('objectSaves', { objectId: 'late' })).rejects.toMatchObject({
        code: 'conflict',
      });
      await expect(batch.shutdown()).resolves.toBeUndefined();
    });

    it('loses nothing where Redis is away for a while', async () => {
      let pauses = 0;
      const batch = open({
        // Not by its own time, but by how often it tries, which here is as fast as it can.
        shutdownTimeoutMs: 60_000,
        pause: () => {
          if (++pauses === 3) proxy.clear();
          return turn();
        },
      });
      proxy.inject({ kind: 'refuse' });
      const added = put(250).map((item) => batch.add('objectSaves', item));
      await batch.shutdown();
      expect(pauses).toBeGreaterThanOrEqual(3);
      expect((await Promise.allSettled(added)).every(({ status }) => status === 'fulfilled')).toBe(true);
      expect((await objects()).size).toBe(250);
    });

    it('loses nothing where Redis is back in the last of its time, however long it was away', async () => {
      let nowMs = Date.now();
      let ended: Promise<void> | undefined;
      let endMs = Number.POSITIVE_INFINITY;
      const batch = open({
        now: () => nowMs,
        shutdownTimeoutMs: 10_000,
        pause: (ms) => {
          nowMs += ms;
          if (ms === 5_000 && ended === undefined) {
            endMs = nowMs + 10_000;
            ended = batch.shutdown();
          }
          if (nowMs < endMs) return turn();
          proxy.clear();
          // Until the connection that was cut is made again.
          return vi.waitFor(async () => expect((await cache.getStats()).reachable).toBe(true), {
            timeout: 10_000,
          });
        },
      });
      proxy.inject({ kind: 'refuse' });
      const added = put(250).map((item) => batch.add('objectSaves', item));
      await Promise.allSettled(added);
      await ended;
      expect((await objects()).size).toBe(250);
    });

    it('says how many it could not store in its time, and so do their promises', async () => {
      let nowMs = Date.now();
      const batch = open({
        now: () => nowMs,
        shutdownTimeoutMs: 1_000,
        pause: (ms) => {
          nowMs += ms;
          return turn();
        },
      });
      proxy.inject({ kind: 'refuse' });
      const added = put(250).map((item) => batch.add('objectSaves', item));
      const ended = batch.shutdown();
      // Refused for its own sake, and not lost by the end.
      void batch.add('objectSaves', { objectId: 'late' });
      await expect(ended).rejects.toMatchObject({
        code: 'store_unavailable',
        message: '250 operations could not be stored before the end.',
      });
      for (const outcome of await Promise.allSettled(added))
        expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'store_unavailable' } });
      expect(batch.getStats()).toMatchObject({ processed: 0, queued: 0, failed: 251 });
      proxy.clear();
      expect((await objects()).size).toBe(0);
    });
  });

  describe('[D10d] an operation that was taken and came to nothing', () => {
    it('is counted, and BatchProcessor passes it to the callback', async () => {
      const told: BatchNoEffect[] = [];
      const batch = open({ onNoEffect: (operation) => void told.push(operation) });
      batch.add('objectSaves', { objectId: 'there' });
      const lost = batch.add('objectUpdates', { objectId: 'none', name: 'n', updatedBy: 'ann' });
      batch.add('operations', { op: 'patch', id: 'there', ifSeq: 1 });
      await batch.flushAll();
      await expect.poll(() => told.length).toBe(2);
      expect(told.toSorted((a, b) => (a.type < b.type ? -1 : 1))).toEqual([
        {
          type: 'objectUpdates',
          spaceId: 'main',
          actor: 'ann',
          status: 'unknown_object',
          operation: { op: 'patch', id: 'none', name: 'n' },
          seq: (await lost).seq,
        },
        {
          type: 'operations',
          spaceId: 'main',
          actor: null,
          status: 'conflict',
          operation: { op: 'patch', id: 'there', ifSeq: 1 },
          seq: expect.any(Number),
        },
      ]);
      expect(batch.getStats()).toMatchObject({ processed: 3, failed: 0, noEffect: 2 });
    });

    it('is known when the processor has shut down', async () => {
      const batch = open();
      batch.add('objectDeletes', { objectId: 'none' });
      await batch.shutdown();
      expect(batch.getStats()).toMatchObject({ processed: 1, noEffect: 1 });
    });

    it('is known with the answer where every write waits for its commit', async () => {
      const batch = open({ log: { commitsAlways: true } });
      const added = batch.add('objectUpdates', { objectId: 'none' });
      await batch.flushAll();
      expect(await added).toMatchObject({ durability: 'committed' });
      expect(batch.getStats()).toMatchObject({ processed: 1, noEffect: 1 });
    });
  });

  it('drains what another process left in the logs when it ended', async () => {
    const first = open();
    await Promise.all([first.add('objectSaves', { objectId: 'o' }), first.flushAll()]);
    await first.shutdown();
    // As a process leaves it that is killed: in the log, and with a drain that never comes.
    const meta = `wk:{${tenantId}!main}:meta`;
    const [seconds] = await redis.time();
    await redis.hset(meta, { token: 'of-another', due: Number(seconds) * 1_000_000 });
    const writer = open();
    await Promise.all([writer.add('objectUpdates', { objectId: 'o', name: 'left' }), writer.flushAll()]);
    await writer.shutdown();
    expect((await objects()).get('o')?.name).toBe('left');
  });

  it('[E8] sends events together, and counts them apart from operations', async () => {
    const postgres = openTestPg();
    const batch = open({ itemsMax: 3 });
    const given = { id: 'a', type: 'wave', data: { hand: 'left' } };
    const first = batch.add('events', given);
    given.data.hand = 'right';
    const refused = batch.add('events', { type: 'Wave' });
    expect(batch.getStats().queues.events).toBe(1);
    const others = [batch.add('events', { id: 'a', type: 'again' }), batch.add('events', { type: 'jump' })];
    const counts = { accepted: 2, duplicates: 1, dropped: 0 };
    expect(await first).toEqual(counts);
    expect(await Promise.all(others)).toEqual([counts, counts]);
    await expect(refused).rejects.toMatchObject({ code: 'validation_failed' });
    const last = batch.add('events', { id: 'b', type: 'wave' });
    await batch.flush('events');
    expect(await last).toEqual({ accepted: 1, duplicates: 0, dropped: 0 });
    expect(batch.getStats()).toMatchObject({
      ...{ processed: 0, queued: 0, failed: 1 },
      events: { accepted: 3, duplicates: 1, dropped: 0 },
    });
    await batch.shutdown();
    const rows = await readEvents(postgres, tenantId);
    expect(rows.find(({ id }) => id === 'a')?.data).toEqual({ hand: 'left' });
    expect(rows).toHaveLength(3);
    await expect(batch.add('events', { type: 'late' })).rejects.toMatchObject({ code: 'conflict' });
    expect(await persistence.appendEvents({ events: [{ type: 'x' }] })).toMatchObject({ accepted: 1 });
    await postgres.close();
  });

  it('lets no drain rest at its end', async () => {
    const endRests = vi.spyOn(Drain.prototype, 'endRests');
    const batch = open();
    expect(endRests).not.toHaveBeenCalled();
    await batch.shutdown();
    expect(endRests).toHaveBeenCalledOnce();
    endRests.mockRestore();
  });

  it('belongs to a PersistenceLayer and a CacheManager of this package', () => {
    expect(() => new BatchProcessor(Object.create(PersistenceLayer.prototype), cache)).toThrow(
      'A BatchProcessor needs a PersistenceLayer and a CacheManager.',
    );
  });
});
