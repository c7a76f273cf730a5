import { count, countDistinct, eq } from 'drizzle-orm';
import { uuidv7 } from 'uuidv7';
import { beforeEach, describe, expect, it } from 'vitest';
import { DirectLog } from '../../src/log/direct-log.ts';
import type { LogAddress } from '../../src/log/log-stores.ts';
import { deadLetters } from '../../src/postgres/schema/log.ts';
import { logMetaKey } from '../../src/redis/keys.ts';
import type { AppendedOperation } from '../../src/world/operation.ts';
import { makeSpace, useRig } from './rig.ts';
import {
  asActor,
  EVERY,
  endOutage,
  forgetKeys,
  openSpilling,
  passTime,
  put,
  readMessages,
  readNames,
  say,
} from './spilling-process.ts';
import { openStateNode } from './state-rig.ts';

const rig = useRig();

beforeEach(async () => {
  rig.neon.clear();
  await endOutage(rig);
});

/** Lets both stores refuse connections. */
function beginBothOutages(): void {
  rig.upstash.inject({ kind: 'refuse' });
  rig.neon.inject({ kind: 'refuse' });
}

/** Deletes the space and creates it again, empty. */
async function replaceSpace({ tenantId, spaceId }: LogAddress): Promise<void> {
  const deleted = await rig.world.deleteSpace(tenantId, spaceId);
  await rig.log.retire({ tenantId, spaceId }, deleted?.incarnation ?? '');
  await rig.world.putSpace(tenantId, spaceId, { name: 'New' }, deleted?.incarnation);
}

describe('[F2b] the return of spilled requests', () => {
  it('[F2l] brings a message back whose space has turned chat off since, and the writes behind it', async () => {
    const address = await makeSpace(rig);
    const { log, spill, options } = openSpilling(rig);
    await log.enqueue(asActor(address), put('before'), options);
    rig.upstash.inject({ kind: 'refuse' });
    await log.enqueue(asActor(address), say('m1'), options);
    await log.enqueue(asActor(address), put('later'), options);
    await endOutage(rig);
    await rig.log.setChat(address, 'off');
    expect(await spill.returnSpace(address)).toEqual({ returned: 2, buried: 0, isLeft: false });
    expect(Object.keys(await readNames(rig, address))).toEqual(['before', 'later']);
    expect(await readMessages(rig, address)).toEqual(['m1']);
  });

  it('brings nothing into a space that is deleted and created again during its drain', async () => {
    const address = await makeSpace(rig);
    let drains = 0;
    const { log, spill, store, drain, options } = openSpilling(rig, {
      afterDrain: async () => ++drains === 2 && replaceSpace(address),
    });
    await log.enqueue(asActor(address), put('before'), options);
    rig.upstash.inject({ kind: 'refuse' });
    await log.enqueue(asActor(address), put('ghost'), options);
    await endOutage(rig);
    await spill.returnSpace(address).catch(() => undefined);
    await spill.returnSpace(address);
    await drain.run(address, { token: null, budgetMs: 5_000 });
    expect(drains).toBeGreaterThan(1);
    expect(await readNames(rig, address)).toEqual({});
    expect(await store.list(address, EVERY)).toEqual([]);
  });

  it('makes dead letters of more operations than one statement can take, each once, in two processes', async () => {
    const address = await makeSpace(rig);
    const [one, other] = [openSpilling(rig), openSpilling(rig)];
    rig.upstash.inject({ kind: 'refuse' });
    for (let r = 0; r < 8; r++) {
      const ops = Array.from(
        { length: 1_000 },
        (_, i): AppendedOperation => ({ op: 'put', id: `o${r}-${i}` }),
      );
      await one.log.enqueue(asActor(address), ops, one.keyed(`key-${r}`));
    }
    await endOutage(rig);
    await forgetKeys(rig, address);
    await Promise.all([one.spill.returnSpace(address), other.spill.returnSpace(address)]);
    const [rows] = await rig.postgres.inTenant(address.tenantId, (db) => [
      db
        .select({ letters: count(), objects: countDistinct(deadLetters.targetId) })
        .from(deadLetters)
        .where(eq(deadLetters.tenantId, address.tenantId)),
    ]);
    expect(rows).toEqual([{ letters: 8_000, objects: 8_000 }]);
    expect(await one.store.list(address, EVERY)).toEqual([]);
  });

  it('[F2c] counts the time of a UUIDv7 from the time in it, so a late repeat is not applied twice', async () => {
    const address = await makeSpace(rig);
    let nowMs = Date.now();
    const { log, spill, drain, keyed } = openSpilling(rig, { now: () => nowMs });
    const key = uuidv7();
    await log.enqueue(asActor(address), say('first'), keyed(key));
    await drain.run(address, { token: null, budgetMs: 5_000 });
    // Redis keeps the key for 600 s. The caller repeats the request after 500 s.
    nowMs += 500_000;
    rig.upstash.inject({ kind: 'refuse' });
    await log.enqueue(asActor(address), say('repeat'), keyed(key));
    await passTime(rig, address, 150);
    const keys = (await rig.admin.command('KEYS', `wk:{${address.tenantId}!*}:idem:*`)) as string[];
    await rig.admin.command('DEL', ...keys);
    await endOutage(rig);
    expect(await spill.returnSpace(address)).toMatchObject({ buried: 1 });
    expect(await readMessages(rig, address)).toEqual(['first']);
  });

  it('[F2d] buries no request that is committed already, however late the next return comes', async () => {
    const address = await makeSpace(rig);
    let isCut = true;
    const { log, spill, keyed } = openSpilling(rig, {
      around: async (method, call) => {
        if (method !== 'remove' || !isCut) return call();
        isCut = false;
        throw new Error('The process has ended.');
      },
    });
    rig.upstash.inject({ kind: 'refuse' });
    await log.enqueue(asActor(address), say('once'), keyed('key'));
    await passTime(rig, address, 560);
    await endOutage(rig);
    await expect(spill.returnSpace(address)).rejects.toThrow('has ended');
    await passTime(rig, address, 30);
    expect(await spill.returnSpace(address)).toEqual({ returned: 1, buried: 0, isLeft: false });
    expect(await readMessages(rig, address)).toEqual(['once']);
  });

  it('drains first, because a log whose oldest entry is too old takes nothing', async () => {
    const address = await makeSpace(rig);
    const { log, spill, options } = openSpilling(rig, { ageMsMax: 50 });
    await log.enqueue(asActor(address), put('pending'), options);
    const { last } = await rig.log.readBacklog(address);
    rig.upstash.inject({ kind: 'refuse' });
    await log.enqueue(asActor(address), put('spilled'), options);
    await endOutage(rig);
    await expect.poll(() => Date.now() * 1_000 - (last ?? 0)).toBeGreaterThan(50_000);
    expect(await spill.returnSpace(address)).toEqual({ returned: 1, buried: 0, isLeft: false });
    expect(Object.keys(await readNames(rig, address))).toEqual(['pending', 'spilled']);
  });

  it('forgets no request that is spilled while the last answer of Postgres is on its way', async () => {
    const address = await makeSpace(rig);
    let isArmed = false;
    const process = openSpilling(rig, {
      around: async (method, call) => {
        const answer = await call();
        if (method === 'list' && isArmed) {
          isArmed = false;
          await process.log.enqueue(asActor(address), put('new'), process.options);
        }
        return answer;
      },
    });
    rig.upstash.inject({ kind: 'refuse' });
    await process.log.enqueue(asActor(address), put('first'), process.options);
    // Another process has returned it.
    const rows = await process.store.list(address, EVERY);
    await process.store.remove(
      address,
      rows.map(({ spillId }) => spillId),
    );
    isArmed = true;
    await process.spill.returnSpace(address);
    expect(process.spill.isWaiting(address)).toBe(true);
  });

  it('[F2i] keeps to the limit of a space, however many requests come at the same time', async () => {
    const address = await makeSpace(rig);
    const { log, store, options } = openSpilling(rig, { limits: { bytesMax: 2 ** 30, entriesMax: 20 } });
    rig.upstash.inject({ kind: 'refuse' });
    for (let i = 0; i < 4; i++)
      await Promise.allSettled(
        Array.from({ length: 10 }, (_, j) => log.enqueue(asActor(address), put(`o${i}-${j}`), options)),
      );
    expect(await store.list(address, EVERY)).toHaveLength(20);
  });

  it('[F2n] keeps an erased person and their messages out of the world', async () => {
    const address = await makeSpace(rig);
    const { log, spill, options } = openSpilling(rig);
    await log.enqueue(asActor(address, 'm.a'), put('before'), options);
    rig.upstash.inject({ kind: 'refuse' });
    await log.enqueue(asActor(address, 'm.a'), put('desk'), options);
    await log.enqueue(asActor(address, 'm.a'), say('hello', 'm.a'), options);
    await log.enqueue(asActor(address, 'mia'), say('other', 'mia'), options);
    expect(await rig.world.eraseUser(address.tenantId, 'm.a')).toBeTruthy();
    await endOutage(rig);
    await spill.returnSpace(address);
    const desk = await rig.world.loadObject(address.tenantId, address.spaceId, 'desk');
    expect(desk?.createdBy).not.toBe('m.a');
    const page = await rig.world.listMessages(address.tenantId, address.spaceId, {
      limit: 9,
      before: null,
      after: null,
    });
    if (page === null || typeof page === 'string') throw new Error('The space is missing.');
    expect(page.messages.map(({ id, userId }) => [id, userId])).toEqual([['other', 'mia']]);
  });
});

describe('[F2] budgets while Redis is away', () => {
  it('a repeat of a spilled message is answered, and costs none', async () => {
    const address = await makeSpace(rig);
    const { log, keyed } = openSpilling(rig);
    rig.upstash.inject({ kind: 'refuse' });
    for (let i = 0; i < 5; i++)
      expect(await log.enqueue(asActor(address), say('m', 'mia'), keyed('key'))).toMatchObject({
        messageIds: ['m'],
      });
    expect(await log.enqueue(asActor(address), say('n', 'mia'), keyed('key-2'))).toMatchObject({
      status: 'spilled',
    });
  });

  it('[F2m] a principal has the limits of updates in each process', async () => {
    const address = await makeSpace(rig);
    const { log, options } = openSpilling(rig, { budgets: { requestsPerMinute: 4, updatesPerMinute: 3 } });
    rig.upstash.inject({ kind: 'refuse' });
    for (let i = 0; i < 3; i++) await log.enqueue(asActor(address), put(`o${i}`), options);
    const refused = { code: 'rate_limited', message: expect.stringContaining('At most 3 updates') };
    await expect(log.enqueue(asActor(address), put('o4'), options)).rejects.toMatchObject(refused);
  });
});

describe('[F2e] states of the process that spilled', () => {
  it('are 503 if Redis is back and Postgres is away, because the write is in Postgres', async () => {
    const address = await makeSpace(rig);
    const { log, spill, options, settle } = openSpilling(rig);
    const { read, node } = openStateNode(rig, address, { spill });
    await log.enqueue(asActor(address), put('before'), options);
    await settle();
    await read();
    await node.settle();
    rig.upstash.inject({ kind: 'refuse' });
    await log.enqueue(asActor(address), put('acknowledged'), options);
    await endOutage(rig);
    rig.neon.inject({ kind: 'refuse' });
    await expect(read()).rejects.toMatchObject({ code: 'store_unavailable' });
    rig.neon.clear();
    expect((await read()).objects.map(({ id }) => id)).toEqual(['acknowledged', 'before']);
  });

  it('show spilled requests of more than 10 MiB', async () => {
    const address = await makeSpace(rig);
    const { log, spill, options } = openSpilling(rig);
    const { read } = openStateNode(rig, address, { spill });
    rig.upstash.inject({ kind: 'refuse' });
    const big = 'x'.repeat(60_000);
    for (let r = 0; r < 13; r++) {
      const ops = Array.from(
        { length: 15 },
        (_, i): AppendedOperation => ({ op: 'put', id: `o${i}`, properties: { big } }),
      );
      await log.enqueue(asActor(address), ops, options);
    }
    const { objects, spilled } = await read();
    expect([objects.length, spilled]).toEqual([15, 13]);
  });

  it('[F4d] are 503 while the process holds a write in memory', async () => {
    const address = await makeSpace(rig);
    const { log, spill, learn, options, settle } = openSpilling(rig);
    const { read } = openStateNode(rig, address, { spill });
    await log.enqueue(asActor(address), put('before'), options);
    await settle();
    await learn(address);
    await read();
    beginBothOutages();
    expect(await log.enqueue(asActor(address), put('held'), options)).toMatchObject({ status: 'memory' });
    await expect(read()).rejects.toMatchObject({ code: 'state_unsettled' });
    rig.neon.clear();
    expect(await read()).toMatchObject({ spilled: 1, objects: [{ id: 'before' }, { id: 'held' }] });
  });
});

describe('[F4] requests in memory', () => {
  it('never reach a new space of the same name', async () => {
    const address = await makeSpace(rig);
    const { log, spill, memory, memoryTold, learn, options } = openSpilling(rig);
    await learn(address);
    beginBothOutages();
    expect(await log.enqueue(asActor(address), put('ghost'), options)).toMatchObject({ status: 'memory' });
    rig.neon.clear();
    await endOutage(rig);
    await replaceSpace(address);
    await memory.end();
    await spill.returnSpace(address);
    expect(memoryTold).toMatchObject([{ event: 'memory_refused', cause: { code: 'not_found' } }]);
    expect(await readNames(rig, address)).toEqual({});
  });

  it('[F2d] become dead letters if Redis may have run them and has forgotten their keys', async () => {
    const address = await makeSpace(rig);
    let nowMs = Date.now();
    const { log, spill, memory, drain, learn, options } = openSpilling(rig, { now: () => nowMs });
    await log.enqueue(asActor(address), put('a', 'first'), options);
    await learn(address);
    rig.upstash.inject({ kind: 'drop-reply', match: 'EVALSHA' });
    rig.neon.inject({ kind: 'refuse' });
    expect(await log.enqueue(asActor(address), put('a', 'old'), options)).toMatchObject({ status: 'memory' });
    rig.neon.clear();
    await endOutage(rig);
    await log.enqueue(asActor(address), put('a', 'newer'), options);
    await drain.run(address, { token: null, budgetMs: 5_000 });
    nowMs += 400_000;
    await forgetKeys(rig, address);
    await memory.end();
    expect(await spill.returnSpace(address)).toMatchObject({ returned: 0, buried: 1 });
    expect(await readNames(rig, address)).toEqual({ a: 'newer' });
  });

  it('of one tenant do not wait for the room of another', async () => {
    const [full, other] = [await makeSpace(rig), await makeSpace(rig)];
    const { log, store, memory, memoryTold, learn, options } = openSpilling(rig, {
      limits: { bytesMax: 2 ** 30, entriesMax: 1 },
    });
    for (const address of [full, other]) await learn(address);
    rig.upstash.inject({ kind: 'refuse' });
    await log.enqueue(asActor(full), put('x'), options);
    rig.neon.inject({ kind: 'refuse' });
    for (const address of [full, other]) await log.enqueue(asActor(address), put('held'), options);
    rig.neon.clear();
    await memory.end();
    expect(memoryTold).toMatchObject([
      { event: 'memory_stored', count: 1 },
      { event: 'memory_lost', count: 1 },
    ]);
    expect(await store.list(other, EVERY)).toHaveLength(1);
  });

  it('come before later writes of the same process', async () => {
    const address = await makeSpace(rig);
    const { log, spill, memory, learn, options } = openSpilling(rig);
    await learn(address);
    beginBothOutages();
    await log.enqueue(asActor(address), put('a', 'older'), options);
    rig.neon.clear();
    expect(await log.enqueue(asActor(address), put('a', 'newer'), options)).toMatchObject({
      status: 'spilled',
    });
    expect(memory.size).toBe(0);
    await endOutage(rig);
    await spill.returnSpace(address);
    expect(await readNames(rig, address)).toEqual({ a: 'newer' });
  });

  it('[L4c] keep their key from another body', async () => {
    const address = await makeSpace(rig);
    const { log, learn, keyed } = openSpilling(rig);
    await learn(address);
    beginBothOutages();
    const withBody = (fingerprint: string) => ({ ...keyed('key'), idempotency: { key: 'key', fingerprint } });
    await log.enqueue(asActor(address), put('one'), withBody('1'));
    rig.neon.clear();
    await expect(log.enqueue(asActor(address), put('two'), withBody('2'))).rejects.toMatchObject({
      code: 'idempotency_key_reused',
    });
  });

  it('[F4a] are never messages, also if Postgres fails between two calls', async () => {
    const address = await makeSpace(rig);
    const { log, memory, learn, options } = openSpilling(rig);
    await learn(address);
    rig.upstash.inject({ kind: 'refuse' });
    rig.neon.inject({ kind: 'refuse', match: 'keep_spilled' });
    await expect(log.enqueue(asActor(address), say('m'), options)).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect(memory.size).toBe(0);
  });
});

it('[O1b] a space with spilled requests takes no write around its log', async () => {
  const address = await makeSpace(rig);
  const { log, options } = openSpilling(rig);
  rig.upstash.inject({ kind: 'refuse' });
  await log.enqueue(asActor(address), put('spilled'), options);
  const direct = new DirectLog(rig.store, Date.now);
  await expect(
    direct.commit(asActor(address), put('direct'), { principal: null, defer: () => undefined }),
  ).rejects.toMatchObject({
    code: 'conflict',
  });
});

it('[F2g] a reader does not wait for a return that takes long, and sees the writes as spilled', async () => {
  const address = await makeSpace(rig);
  const { promise: isOver, resolve: end } = Promise.withResolvers<void>();
  const { log, spill, options } = openSpilling(rig, { beforeDrain: () => isOver });
  const { read } = openStateNode(rig, address, { spill });
  rig.upstash.inject({ kind: 'refuse' });
  await log.enqueue(asActor(address), put('a'), options);
  await endOutage(rig);
  expect(await read()).toMatchObject({ spilled: 1, objects: [{ id: 'a' }] });
  end();
  await expect.poll(() => spill.isWaiting(address)).toBe(false);
  const state = await read();
  expect([state.spilled, state.objects.map(({ id }) => id)]).toEqual([undefined, ['a']]);
});

describe('[F2] a spilled request', () => {
  it('returns into a space that was created again while Redis was away, and still has the old log', async () => {
    const address = await makeSpace(rig);
    const { tenantId, spaceId } = address;
    const { log, spill, drain, options, settle } = openSpilling(rig);
    await log.enqueue(asActor(address), put('before'), options);
    await settle();
    await drain.run(address, { token: null, budgetMs: 5_000 });
    rig.upstash.inject({ kind: 'refuse' });
    const deleted = await rig.world.deleteSpace(tenantId, spaceId);
    await rig.world.putSpace(tenantId, spaceId, { name: 'New' }, deleted?.incarnation);
    await log.enqueue(asActor(address), put('acknowledged'), options);
    await endOutage(rig);
    expect(await spill.returnSpace(address)).toEqual({ returned: 1, buried: 0, isLeft: false });
    expect(await readNames(rig, address)).toEqual({ acknowledged: 'acknowledged' });
  });

  it('waits if Redis refuses it for another reason than its key', async () => {
    const address = await makeSpace(rig);
    const { log, spill, store, options } = openSpilling(rig);
    rig.upstash.inject({ kind: 'refuse' });
    await log.enqueue(asActor(address), put('a'), options);
    await endOutage(rig);
    await rig.admin.command('SET', logMetaKey(address), 'not a hash');
    await expect(spill.returnSpace(address)).rejects.toThrow();
    expect(await store.list(address, EVERY)).toHaveLength(1);
    await rig.admin.command('DEL', logMetaKey(address));
    expect(await spill.returnSpace(address)).toMatchObject({ returned: 1, buried: 0 });
  });

  it('is not buried after its commit if Redis knows only the id of its message, or knows nothing any more', async () => {
    for (const forgets of [false, true]) {
      const address = await makeSpace(rig);
      let isCut = true;
      const { log, spill, options } = openSpilling(rig, {
        around: async (method, call) => {
          if (method !== 'remove' || !isCut) return call();
          isCut = false;
          throw new Error('The process has ended.');
        },
      });
      const message = { ...options, idempotency: { key: null, messageIds: ['m1'], fingerprint: 'f' } };
      rig.upstash.inject({ kind: 'refuse' });
      await log.enqueue(asActor(address), say('m1'), message);
      await endOutage(rig);
      await passTime(rig, address, 560);
      await expect(spill.returnSpace(address)).rejects.toThrow('has ended');
      await passTime(rig, address, 30);
      if (forgets) await forgetKeys(rig, address);
      expect(await spill.returnSpace(address)).toEqual({ returned: 1, buried: 0, isLeft: false });
      expect(await readMessages(rig, address)).toEqual(['m1']);
    }
  });

  it('is not shown above newer writes between its commit and its removal', async () => {
    const address = await makeSpace(rig);
    const [isOver, hasReached] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { log, spill, drain, options } = openSpilling(rig, {
      around: async (method, call) => {
        if (method === 'remove') {
          hasReached.resolve();
          await isOver.promise;
        }
        return call();
      },
    });
    const { read } = openStateNode(rig, address, { spill });
    rig.upstash.inject({ kind: 'refuse' });
    await log.enqueue(asActor(address), put('a', 'older'), options);
    await endOutage(rig);
    const returning = spill.returnSpace(address);
    await hasReached.promise;
    await log.enqueue(asActor(address), put('a', 'newer'), options);
    await drain.run(address, { token: null, budgetMs: 5_000 });
    expect((await read()).objects).toMatchObject([{ name: 'newer' }]);
    isOver.resolve();
    await returning;
  });

  it('is shown by each process that answered for it', async () => {
    const address = await makeSpace(rig);
    const [one, other] = [openSpilling(rig), openSpilling(rig)];
    rig.upstash.inject({ kind: 'refuse' });
    await one.log.enqueue(asActor(address), put('a'), one.keyed('key'));
    await other.log.enqueue(asActor(address), put('a'), other.keyed('key'));
    expect(other.spill.isWaiting(address)).toBe(true);
  });

  it('is not accepted under a UUIDv7 that Redis is about to forget', async () => {
    const address = await makeSpace(rig);
    const key = uuidv7();
    const { log, store, keyed } = openSpilling(rig, { now: () => Date.now() + 580_000 });
    rig.upstash.inject({ kind: 'refuse' });
    await expect(log.enqueue(asActor(address), put('a'), keyed(key))).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect(await store.list(address, EVERY)).toEqual([]);
  });
});

describe('[F4] a later write, while memory holds requests of its space,', () => {
  it('is refused if the space is full in Postgres', async () => {
    const address = await makeSpace(rig);
    const { log, memory, learn, options } = openSpilling(rig, {
      limits: { bytesMax: 2 ** 30, entriesMax: 1 },
    });
    await learn(address);
    rig.upstash.inject({ kind: 'refuse' });
    await log.enqueue(asActor(address), put('x'), options);
    rig.neon.inject({ kind: 'refuse' });
    await log.enqueue(asActor(address), put('held'), options);
    rig.neon.clear();
    await expect(log.enqueue(asActor(address), put('y'), options)).rejects.toMatchObject({
      code: 'backlog_full',
    });
    expect(memory.size).toBe(1);
  });

  it('comes behind them, also if it posts a message', async () => {
    const address = await makeSpace(rig);
    const { log, spill, learn, options } = openSpilling(rig);
    await learn(address);
    beginBothOutages();
    await log.enqueue(asActor(address), put('a', 'older'), options);
    rig.neon.clear();
    await log.enqueue(asActor(address), [...put('a', 'newer'), ...say('m')], options);
    await endOutage(rig);
    await spill.returnSpace(address);
    expect(await readNames(rig, address)).toEqual({ a: 'newer' });
  });
});
