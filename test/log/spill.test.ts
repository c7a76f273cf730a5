import { describe, expect, it } from 'vitest';
import type { AppendedOperation } from '../../src/world/operation.ts';
import { makeSpace, useRig } from './rig.ts';
import {
  asActor,
  EVERY,
  endOutage,
  forgetKeys,
  openSpilling,
  put,
  readMessages,
  readNames,
  say,
} from './spilling-process.ts';

const rig = useRig();

describe('[F2] while Redis is away', () => {
  it('a write is spilled, and is committed in its order after the return', async () => {
    const address = await makeSpace(rig);
    const { log, spill, store, told, options } = openSpilling(rig);
    await log.enqueue(asActor(address, 'ann'), put('before'), options);
    rig.upstash.inject({ kind: 'refuse' });
    for (const [id, name] of [
      ['a', '1'],
      ['b', '2'],
      ['a', '3'],
    ] as const)
      expect(await log.enqueue(asActor(address, 'ann'), put(id, name), options)).toEqual({
        status: 'spilled',
        accepted: 1,
      });
    expect(spill.isWaiting(address)).toBe(true);
    await expect(spill.returnSpace(address)).rejects.toMatchObject({ code: 'store_unavailable' });
    await endOutage(rig);
    expect(await spill.returnSpace(address)).toMatchObject({ isLeft: false });
    expect(await readNames(rig, address)).toEqual({ before: 'before', a: '3', b: '2' });
    expect(await store.list(address, EVERY)).toEqual([]);
    expect(spill.isWaiting(address)).toBe(false);
    expect(told.filter(({ event }) => event === 'spill_returned')).toMatchObject([{ count: 3 }]);
    const a = await rig.world.loadObject(address.tenantId, address.spaceId, 'a');
    expect(a?.updatedBy).toBe('ann');
  });

  it('a write whose append ran without an answer is applied once', async () => {
    const address = await makeSpace(rig);
    const { log, spill, options } = openSpilling(rig);
    await log.enqueue(asActor(address), put('before'), options);
    rig.upstash.inject({ kind: 'drop-reply', match: 'EVALSHA' });
    expect(await log.enqueue(asActor(address), say('once'), options)).toMatchObject({ status: 'spilled' });
    await endOutage(rig);
    expect(await spill.returnSpace(address)).toMatchObject({ isLeft: false });
    expect(await readMessages(rig, address)).toEqual(['once']);
  });

  it('a repeat under a key is the same write, also if the first one was queued', async () => {
    const address = await makeSpace(rig);
    const { log, spill, keyed } = openSpilling(rig);
    const key = crypto.randomUUID();
    const target = asActor(address);
    expect(await log.enqueue(target, say('m1'), keyed(key))).toMatchObject({ status: 'queued' });
    rig.upstash.inject({ kind: 'refuse' });
    const other = crypto.randomUUID();
    for (const again of [key, key, other, other])
      expect(await log.enqueue(target, say(again === key ? 'm1' : 'm2'), keyed(again))).toMatchObject({
        status: 'spilled',
        messageIds: [again === key ? 'm1' : 'm2'],
      });
    const reused = { ...keyed(other), idempotency: { key: other, fingerprint: 'another' } };
    await expect(log.enqueue(target, say('m3'), reused)).rejects.toMatchObject({
      code: 'idempotency_key_reused',
    });
    await endOutage(rig);
    expect(await spill.returnSpace(address)).toMatchObject({ isLeft: false });
    expect(await readMessages(rig, address)).toEqual(['m1', 'm2']);
  });

  it('writes that need the order of the log are refused', async () => {
    const address = await makeSpace(rig);
    const { log, store, options } = openSpilling(rig);
    rig.upstash.inject({ kind: 'refuse' });
    const away = { code: 'store_unavailable' };
    await expect(log.commit(asActor(address), put('a'), options)).rejects.toMatchObject(away);
    const conditional: AppendedOperation[] = [{ op: 'put', id: 'a', ifSeq: 0 }];
    await expect(log.enqueue(asActor(address), conditional, options)).rejects.toMatchObject(away);
    expect(await store.list(address, EVERY)).toEqual([]);
  });

  it('nothing is spilled for a space that is not there, or above the limits', async () => {
    const address = await makeSpace(rig);
    const { log, store, options } = openSpilling(rig, { limits: { bytesMax: 2 ** 30, entriesMax: 3 } });
    const large = openSpilling(rig, { limits: { bytesMax: 100, entriesMax: 1_000 } });
    rig.upstash.inject({ kind: 'refuse' });
    const missing = { ...asActor(address), spaceId: 'missing' };
    await expect(log.enqueue(missing, put('a'), options)).rejects.toMatchObject({ code: 'not_found' });
    for (const id of ['a', 'b', 'c']) await log.enqueue(asActor(address), put(id), options);
    const full = { code: 'backlog_full', retryAfterSeconds: 5 };
    await expect(log.enqueue(asActor(address), put('d'), options)).rejects.toMatchObject(full);
    await expect(large.log.enqueue(asActor(address), put('d'), options)).rejects.toMatchObject(full);
    expect(await store.list(address, EVERY)).toHaveLength(3);
  });

  it('messages keep the rule of the space and the limit of a person', async () => {
    const address = await makeSpace(rig);
    const { log, options } = openSpilling(rig);
    rig.upstash.inject({ kind: 'refuse' });
    const target = asActor(address);
    for (const id of ['m1', 'm2']) await log.enqueue(target, say(id, 'mia'), options);
    await expect(log.enqueue(target, say('m3', 'mia'), options)).rejects.toMatchObject({
      code: 'rate_limited',
    });
    await rig.world.putSpace(address.tenantId, address.spaceId, { name: 'Main', settings: { chat: 'off' } });
    await expect(log.enqueue(target, say('m4', 'a'), options)).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('[F2b] spilled requests that return late', () => {
  it('are applied behind newer writes', async () => {
    const address = await makeSpace(rig);
    const { log, spill, drain, options } = openSpilling(rig);
    rig.upstash.inject({ kind: 'refuse' });
    await log.enqueue(asActor(address), put('a', 'spilled'), options);
    await endOutage(rig);
    expect(await log.enqueue(asActor(address), put('a', 'newer'), options)).toMatchObject({
      status: 'queued',
    });
    await drain.run(address, { token: null, budgetMs: 5_000 });
    expect(await readNames(rig, address)).toEqual({ a: 'newer' });
    await spill.returnSpace(address);
    expect(await readNames(rig, address)).toEqual({ a: 'spilled' });
  });

  it('become dead letters if Redis may have run them and has forgotten their keys', async () => {
    const address = await makeSpace(rig);
    const { log, spill, told, options } = openSpilling(rig);
    await log.enqueue(asActor(address), put('before'), options);
    rig.upstash.inject({ kind: 'drop-reply', match: 'EVALSHA' });
    await log.enqueue(asActor(address, 'ann'), [...put('a'), ...put('b')], options);
    await endOutage(rig);
    await forgetKeys(rig, address);
    expect(await spill.returnSpace(address)).toMatchObject({ buried: 1, isLeft: false });
    const { letters } = await rig.store.listDeadLetters(address.tenantId, 10, '');
    expect(
      letters.map(({ op, actor, error }) => [(op as { id: string }).id, actor, error.constraint]).sort(),
    ).toEqual([
      ['a', 'ann', 'log_spill'],
      ['b', 'ann', 'log_spill'],
    ]);
    expect(told.filter(({ event }) => event === 'spill_buried')).toMatchObject([{ count: 2 }]);
  });

  it('return at any time if no append of them was sent', async () => {
    const address = await makeSpace(rig);
    const { log, spill, options } = openSpilling(rig);
    rig.upstash.inject({ kind: 'refuse' });
    // After some failures, Redis counts as away, and nothing is sent to it.
    while (rig.redis.awaySinceMs === null) await log.enqueue(asActor(address), put('lost'), options);
    await log.enqueue(asActor(address), put('unsent'), options);
    // A try to return it while Redis is away sends nothing either.
    await expect(spill.returnSpace(address)).rejects.toMatchObject({ code: 'store_unavailable' });
    await forgetKeys(rig, address);
    await endOutage(rig);
    expect(await spill.returnSpace(address)).toMatchObject({ returned: 1, isLeft: false });
    expect(await readNames(rig, address)).toEqual({ unsent: 'unsent' });
  });

  it('are removed with their space, and never reach a new one of the same name', async () => {
    const address = await makeSpace(rig);
    const { tenantId, spaceId } = address;
    const { log, spill, store, options } = openSpilling(rig);
    await log.enqueue(asActor(address), put('before'), options);
    rig.upstash.inject({ kind: 'refuse' });
    await log.enqueue(asActor(address), put('a'), options);
    await endOutage(rig);
    const deleted = await rig.world.deleteSpace(tenantId, spaceId);
    await rig.world.putSpace(tenantId, spaceId, { name: 'New' }, deleted?.incarnation);
    expect(await store.list(address, EVERY)).toEqual([]);
    expect(await spill.returnSpace(address)).toMatchObject({ isLeft: false });
    expect(await readNames(rig, address)).toEqual({});
  });

  it('return from another process, which finds all spaces with spilled requests', async () => {
    const addresses = [await makeSpace(rig), await makeSpace(rig)];
    const { log, options } = openSpilling(rig);
    // The Redis of their logs gets them back.
    for (const address of addresses) await log.enqueue(asActor(address), put('before'), options);
    rig.upstash.inject({ kind: 'refuse' });
    for (const address of addresses) await log.enqueue(asActor(address), put('a'), options);
    await endOutage(rig);
    const other = openSpilling(rig);
    await other.spill.returnAll();
    for (const address of addresses) expect(await readNames(rig, address)).toMatchObject({ a: 'a' });
  });
});

describe('[F2b] spilled requests, if Redis has lost its memory', () => {
  it('return into the new log', async () => {
    const address = await makeSpace(rig);
    const { log, spill, options } = openSpilling(rig);
    await log.enqueue(asActor(address), put('before'), options);
    rig.upstash.inject({ kind: 'refuse' });
    await log.enqueue(asActor(address), say('waits'), options);
    await rig.admin.command('FLUSHALL');
    await endOutage(rig);
    expect(await spill.returnSpace(address)).toMatchObject({ returned: 1, isLeft: false });
    expect(await readMessages(rig, address)).toEqual(['waits']);
  });

  it('return again if it happens after their append and before their commit', async () => {
    const address = await makeSpace(rig);
    let flushes = 0;
    const lossy = openSpilling(rig, {
      // The first drain of a return comes before its append.
      beforeDrain: async () => flushes++ === 1 && rig.admin.command('FLUSHALL'),
    });
    rig.upstash.inject({ kind: 'refuse' });
    await lossy.log.enqueue(asActor(address), say('one'), lossy.options);
    await lossy.log.enqueue(asActor(address), say('two'), lossy.options);
    await endOutage(rig);
    // The first return finds that its entries are lost, and appends them again.
    while ((await lossy.spill.returnSpace(address)).isLeft) expect(flushes).toBeLessThan(10);
    expect(flushes).toBeGreaterThan(2);
    expect(await lossy.store.list(address, EVERY)).toEqual([]);
    expect(await readMessages(rig, address)).toEqual(['one', 'two']);
  });
});
