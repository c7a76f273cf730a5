import { describe, expect, it } from 'vitest';
import { type LogSpace, useLogs } from '../../test/redis-log.ts';
import { REDIS_WAYS } from '../../test/redis-ways.ts';
import { eventIdsKey, isKeyOfPerson, noEffectsKey, presenceKeys } from './keys.ts';
import { createPersonTraces } from './person-traces.ts';

const chat = (userId: string, text = 'hi') => ({
  ops: JSON.stringify([{ op: 'chat.post', id: 'm', userId, text, kind: 'text' }]),
  count: 1,
});
const move = (...ids: string[]) => ({
  ops: JSON.stringify([{ op: 'user.move', ids, position: [] }]),
  count: 1,
});

describe.each(REDIS_WAYS)('the traces of a person in Redis, %s', (_, openWay) => {
  const { redis, openSpace } = useLogs(openWay);
  const logOf = ({ address, opened }: LogSpace) => ({
    spaceId: address.spaceId,
    incarnation: opened.incarnation,
  });
  const find = async (space: LogSpace, userId = 'ann') => {
    const found = await createPersonTraces(redis()).find(space.address.tenantId, [logOf(space)], userId);
    return found[0]?.seq ?? null;
  };
  const forget = (space: LogSpace, seq: number | null, userId = 'ann') =>
    createPersonTraces(redis()).forget(space.address.tenantId, logOf(space), userId, seq);
  const listSeqs = async ({ keys }: LogSpace) =>
    ((await redis().command('XRANGE', keys.log, '-', '+')) as [string][]).map(([id]) =>
      Number.parseInt(id, 10),
    );

  it('[T8b] are found in a log of any size, as the actor and in operations, and in nobody else’s entries', async () => {
    const space = await openSpace();
    expect(await find(space)).toBeNull();
    await space.add({
      actor: 'anna',
      entries: [chat('anna'), move('bob', 'ann-2'), chat('bob', 'ann said so')],
    });
    expect(await find(space)).toBeNull();
    const moved = await space.add({ entries: [move('bob', 'ann', 'cy')] });
    expect(await find(space)).toBe(moved.seq);
    const built = await space.add({ actor: 'ann' });
    const large = chat('bob', 'x'.repeat(200_000));
    for (let i = 0; i < 30; i++) await space.add({ entries: [large] });
    expect(await find(space)).toBe(built.seq);
    const said = await space.add({ entries: [chat('ann')] });
    await space.add({ entries: [large] });
    expect(await find(space)).toBe(said.seq);
  });

  it('[T8b] are found in many spaces with few commands', async () => {
    const { tenantId } = (await openSpace()).address;
    const spaces = await Promise.all(Array.from({ length: 120 }, () => openSpace({ tenantId })));
    const seqs = new Map<string, number | null>();
    for (const [i, space] of spaces.entries()) {
      const { spaceId } = space.address;
      if (i % 40 === 0) seqs.set(spaceId, (await space.add({ actor: 'ann' })).seq);
      if (i === 7) {
        await redis().command('HSET', presenceKeys(space.address)[1], 'ann', '1 1 1');
        seqs.set(spaceId, null);
      }
      if (i === 8) {
        await redis().command('ZADD', noEffectsKey(space.address), '5', '5 0 avatar unknown_object ann');
        seqs.set(spaceId, null);
      }
    }
    let commands = 0;
    const counted = new Proxy(redis(), {
      get(target, name) {
        if (name === 'eval') commands++;
        const member: unknown = Reflect.get(target, name);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
    const found = await createPersonTraces(counted).find(tenantId, spaces.map(logOf), 'ann');
    expect(new Map(found.map(({ log, seq }) => [log.spaceId, seq]))).toEqual(seqs);
    expect(commands).toBe(3);
  });

  it('[T8b] leave the committed part of a log only', async () => {
    const space = await openSpace();
    const said = await space.add({ entries: [chat('ann')] });
    const other = await space.add({ entries: [chat('bob')] });
    expect(await forget(space, said.seq)).toBe(false);
    expect(await listSeqs(space)).toEqual([said.seq, other.seq]);
    await space.settle(said.seq);
    expect(await forget(space, said.seq)).toBe(true);
    expect(await listSeqs(space)).toEqual([other.seq]);
    expect(await find(space)).toBeNull();
    // The log continues: nothing counts as lost.
    const later = await space.add({});
    const read = await space.read({ after: said.seq });
    expect(read).toMatchObject({ status: 'read', tear: null, last: later.seq });
    // Nobody trims the log of a space that was created again.
    await space.setMeta({ incarnation: 'another' });
    expect(await forget(space, later.seq)).toBe(true);
    expect(await listSeqs(space)).toEqual([other.seq, later.seq]);
  });

  it('[R3e] leave presence and the notes of operations without effect', async () => {
    const space = await openSpace();
    const [stays, people, names, ended] = presenceKeys(space.address);
    const at = String(Date.now());
    for (const id of ['ann', 'ann-2']) {
      await redis().command('ZADD', stays, at, `${id}!session-of-${id}`);
      await redis().command('HSET', people, id, `${at} ${at} 1`);
      await redis().command('ZADD', names, '0', id);
    }
    const notes = noEffectsKey(space.address);
    for (const id of ['ann', 'ann-2'])
      await redis().command('ZADD', notes, '5', `5 0 avatar unknown_object ${id}`);
    await redis().command('ZADD', notes, '5', '5 1 object conflict ann');
    expect(await forget(space, null)).toBe(true);
    expect(await redis().command('ZRANGE', stays, '0', '-1')).toEqual(['ann-2!session-of-ann-2']);
    expect(await redis().command('HKEYS', people)).toEqual(['ann-2']);
    expect(await redis().command('ZRANGE', names, '0', '-1')).toEqual(['ann-2']);
    // A late heartbeat does not bring them back.
    expect(await redis().command('ZRANGE', ended, '0', '-1')).toEqual(['session-of-ann']);
    expect(await redis().command('ZRANGE', notes, '0', '-1')).toEqual([
      '5 0 avatar unknown_object ann-2',
      '5 1 object conflict ann',
    ]);
  });

  it('[T8c] are removed with all copies of the tenant, and keys of others stay', async () => {
    const space = await openSpace();
    const { tenantId, spaceId } = space.address;
    const [tenant, inSpace] = [`wk:{${tenantId}}`, `wk:{${tenantId}!${spaceId}}`];
    const own = [
      ...[`${tenant}:user-session:ann`, `${tenant}:rate:action!ann!wave!100/60`],
      ...[`${inSpace}:chat-budget:ann`, `${inSpace}:budget:u:ann`, `${inSpace}:idem:u:ann!key`],
      `${inSpace}:message:u:ann!id`,
    ];
    const copies = [`${tenant}:cache:profile!ann`, `${tenant}:cache:list!all`, `${inSpace}:world-state`];
    const others = [
      ...[`${tenant}:user-session:ann-2`, `${tenant}:user-session:x:ann`, `${inSpace}:budget:u:ann-2`],
      ...[`${inSpace}:idem:u:ann-2!ann`, `${inSpace}:idem:k:ann!ann`, `${inSpace}:budget:k:ann`],
      ...[`wk:{${tenantId}-x}:user-session:ann`, `wk:{${tenantId}-x}:cache:profile!ann`],
    ];
    for (const key of [...own, ...copies, ...others]) await redis().command('SET', key, '1');
    const ids = eventIdsKey(tenantId, 'person');
    for (const id of ['ann!1', 'ann!2', 'ann-2!1']) await redis().command('ZADD', ids, '1', id);
    expect(await createPersonTraces(redis()).removeKeys(tenantId, 'ann')).toBe(own.length + 2);
    expect(await redis().command('EXISTS', ...own, ...copies)).toBe(0);
    expect(await redis().command('EXISTS', ...others)).toBe(others.length);
    expect(await redis().command('ZRANGE', ids, '0', '-1')).toEqual(['ann-2!1']);
    expect(own.every((key) => isKeyOfPerson(key, 'ann'))).toBe(true);
  });
});
