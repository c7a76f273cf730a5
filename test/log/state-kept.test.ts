import { expect, it } from 'vitest';
import type { DrainStore } from '../../src/log/log-stores.ts';
import { createStateStore } from '../../src/redis/snapshot.ts';
import { NO_MESSAGES } from '../../src/world/chat-window.ts';
import { makeSpace, NO_DRAIN, openSpaceLog, wrapStore } from './rig.ts';
import { openStateNode, put, type StateNode, useStates } from './state-rig.ts';

const { rig, queue, findKeys } = useStates();

it('[S3] a write of metadata shows immediately to every reader, in the state and in its version', async () => {
  const address = await makeSpace(rig);
  const [one, other] = [openStateNode(rig, address), openStateNode(rig, address)];
  await queue(address, [{ op: 'user.patch', id: 'mia', position: { x: 1, y: 2, z: 3 } }]);
  const first = await one.read();
  expect(first.users).toMatchObject([{ id: 'mia', displayName: 'mia', position: { x: 1, y: 2, z: 3 } }]);
  await other.read();
  await one.layer.putUser({ id: 'mia', displayName: 'Mia the second' });
  await one.layer.putSpace(address.spaceId, { name: 'Renamed' });
  for (const node of [one, other]) {
    const state = await node.read();
    expect(state.users).toMatchObject([{ displayName: 'Mia the second' }]);
    expect([state.space.name, state.seq]).toEqual(['Renamed', first.seq]);
    expect(state.rev).toBeGreaterThan(first.rev);
  }
});

it('[S3e] a new person is shown, at the position where their avatar was placed before', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await queue(address, [{ op: 'user.patch', id: 'new', position: { x: 1, y: 0, z: 0 } }]);
  expect((await node.read()).users).toEqual([]);
  await node.layer.putUser({ id: 'new', displayName: 'New' });
  expect((await node.read()).users).toMatchObject([{ id: 'new', displayName: 'New', position: { x: 1 } }]);
});

it('[S3d] an erased person is in no state any more, also not from a view or a snapshot', async () => {
  const address = await makeSpace(rig);
  const nodes = [openStateNode(rig, address), openStateNode(rig, address, { viewCharactersMax: 0 })];
  const [one] = nodes as [StateNode];
  await queue(address, [{ op: 'user.patch', id: 'mia', position: { x: 1, y: 2, z: 3 } }]);
  const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
  await spaceLog.enqueue({ ...address, actor: 'mia' }, [put('a')], options());
  await one.drain.drainSpace(address, { budgetMs: 10_000 });
  for (const node of nodes) {
    expect((await node.read()).users).toHaveLength(1);
    await node.node.settle();
  }
  await one.layer.eraseUser('mia');
  for (const node of nodes) {
    const state = await node.read();
    expect([state.users, state.objects.map(({ id }) => id)]).toEqual([[], ['a']]);
    expect(JSON.stringify(state)).not.toContain('mia');
  }
});

it('[S3b] a write of metadata whose end is not reported shows after the longest time of a write', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  const { space } = await node.read();
  expect(space.name).toBe('Main');
  // As if a process ended between its commit and its report.
  await node.state.invalidateWhile(address.tenantId, async () => {
    expect((await node.read()).space.name).toBe('Main');
    await node.node.settle();
    await rig.world.putSpace(address.tenantId, address.spaceId, { name: 'Renamed' });
    rig.upstash.inject({ kind: 'refuse', times: 1, match: `wk:{${address.tenantId}}:marks` });
  });
  // Half a minute later, by Redis's clock:
  const keys = await findKeys(address, 'metadata');
  expect(keys).toHaveLength(1);
  expect(Number(await rig.admin.command('HGET', keys[0] ?? '', 'holdsUntil'))).toBeGreaterThan(0);
  await rig.admin.command('HSET', keys[0] ?? '', 'holdsUntil', '1');
  expect((await node.read()).space.name).toBe('Renamed');
});

it('[S3] a model that is saved with a world changes immediately in the other spaces that reference it', async () => {
  const address = await makeSpace(rig);
  await rig.world.putSpace(address.tenantId, 'other', { name: 'Other' });
  const node = openStateNode(rig, address);
  await node.layer.saveObject({ id: 'o', modelId: 'm' }, { spaceId: 'other' });
  const before = await node.layer.loadWorldState('other');
  expect(before.models).toEqual([]);
  await node.node.settle();
  const models = [{ id: 'm', name: 'M', url: 'https://models.example/m.glb' }];
  await node.layer.saveWorldState({ objects: [], models });
  const after = await node.layer.loadWorldState('other');
  expect(after.models).toMatchObject(models);
  expect(after.rev).toBeGreaterThan(before.rev);
});

it('[S10] a model that an object references later costs one load, for all readers', async () => {
  const address = await makeSpace(rig);
  const open = () => openStateNode(rig, address);
  const [first, second] = [open(), open()];
  await rig.world.putSpace(address.tenantId, 'library', { name: 'Library' });
  const models = ['m1', 'm2'].map((id) => ({ id, name: id, url: `https://models.example/${id}.glb` }));
  await first.layer.saveWorldState({ objects: [], models }, { spaceId: 'library' });
  await first.layer.saveObject({ id: 'o', modelId: 'm1' });
  expect((await first.read()).models).toMatchObject([{ id: 'm1' }]);
  await first.node.settle();
  await queue(address, [{ op: 'put', id: 'p', modelId: 'm2' }]);
  expect((await first.read()).models).toMatchObject([{ id: 'm1' }, { id: 'm2' }]);
  await first.node.settle();
  expect(first.loads).toEqual({ worlds: 1, arounds: 0, assets: 1 });
  expect((await second.read()).models).toMatchObject([{ id: 'm1' }, { id: 'm2' }]);
  expect(second.loads).toEqual({ worlds: 0, arounds: 0, assets: 0 });
  await queue(address, [{ op: 'delete', id: 'o' }]);
  expect((await second.read()).models).toMatchObject([{ id: 'm2' }]);
});

it('[S3a] metadata that was cached too long ago is loaded again, also without a reported write', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await node.read();
  await node.node.settle();
  await rig.world.putSpace(address.tenantId, address.spaceId, { name: 'Renamed' });
  expect((await node.read()).space.name).toBe('Main');
  const [key = ''] = await findKeys(address, 'metadata');
  await rig.admin.command('HSET', key, 'keptAt', '1');
  expect((await node.read()).space.name).toBe('Renamed');
});

it('[S3d] a state that is loaded while a person is erased is not kept', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await queue(address, [{ op: 'user.patch', id: 'mia', position: { x: 1, y: 2, z: 3 } }]);
  const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
  await spaceLog.enqueue({ ...address, actor: 'mia' }, [put('a')], options());
  await node.drain.drainSpace(address, { budgetMs: 10_000 });
  const erasing = node.state.invalidateWhile(
    address.tenantId,
    async () => {
      expect((await node.read()).users).toHaveLength(1);
      await node.node.settle();
      await rig.world.eraseUser(address.tenantId, 'mia');
      // No report of its end arrives.
      rig.upstash.inject({ kind: 'refuse', times: 1, match: `wk:{${address.tenantId}}:marks` });
    },
    { erases: true },
  );
  await erasing;
  expect(await findKeys(address, 'snap')).toEqual([]);
  // Half a minute later, by Redis's clock:
  const times = ['pendingUntil', '1', 'erasingUntil', '1'];
  await rig.admin.command('HSET', `wk:{${address.tenantId}}:marks`, ...times);
  for (const key of await findKeys(address, 'metadata'))
    await rig.admin.command('HSET', key, 'holdsUntil', '1');
  for (const reader of [node, openStateNode(rig, address)]) {
    const state = await reader.read();
    expect(state.objects).toHaveLength(1);
    expect(JSON.stringify(state)).not.toContain('mia');
  }
});

it('[S3e] an avatar that was drained before its person was created is not shown to any reader', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await node.read();
  await queue(address, [{ op: 'user.patch', id: 'new', position: { x: 1, y: 0, z: 0 } }]);
  await node.read();
  // Here Postgres finds that it does not know this person.
  await node.drain.drainSpace(address, { budgetMs: 10_000 });
  await node.layer.putUser({ id: 'new', displayName: 'New' });
  const fresh = openStateNode(rig, address, { keeps: false });
  for (const reader of [node, openStateNode(rig, address), fresh])
    expect((await reader.read()).users).toEqual([]);
  await queue(address, [{ op: 'user.patch', id: 'new', properties: { hat: 'red' } }]);
  const { users } = await node.read();
  expect(users).toMatchObject([{ id: 'new', position: { x: 0, y: 0, z: 0 }, properties: { hat: 'red' } }]);
  expect((await fresh.read()).users).toEqual(users);
});

it('[S3f] a state that lacks a person because Postgres is away has no version', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await node.read();
  await node.node.settle();
  await queue(address, [{ op: 'user.patch', id: 'mia' }]);
  rig.neon.inject({ kind: 'refuse' });
  expect(await node.layer.renderWorldState()).toMatchObject({ status: 'state', isWhole: false });
  rig.neon.clear();
  expect(await node.layer.renderWorldState()).toMatchObject({ status: 'state', isWhole: true });
  expect((await node.read()).users).toMatchObject([{ id: 'mia' }]);
});

it('[S4a] a drain renews a snapshot that is far behind, without asking Postgres for the world', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address, { viewCharactersMax: 0 });
  await node.read();
  await node.node.settle();
  const [key = ''] = await findKeys(address, 'snap');
  const keptSeq = async () => Number(await rig.admin.command('HGET', key, 'seq'));
  const before = await keptSeq();
  const ops = Array.from({ length: 999 }, (_, i) => put(`o${i}`));
  await queue(address, ops);
  await node.drain.drainSpace(address, { budgetMs: 10_000 });
  expect(await keptSeq()).toBe(before);
  const seq = await queue(address, [put('last')]);
  await node.drain.drainSpace(address, { budgetMs: 10_000 });
  expect(await keptSeq()).toBe(seq);
  expect(node.loads.worlds).toBe(1);
  expect((await node.read()).objects).toHaveLength(1_000);
  expect(node.loads.worlds).toBe(1);
  expect(node.told).toEqual([]);
});

it('[S4a] a reader renews a snapshot only up to the cursor of Postgres', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await node.read();
  await node.node.settle();
  const [key = ''] = await findKeys(address, 'snap');
  const before = await rig.admin.command('HGET', key, 'seq');
  await queue(
    address,
    Array.from({ length: 1_000 }, (_, i) => put(`o${i}`)),
  );
  expect((await node.read()).objects).toHaveLength(1_000);
  await node.node.settle();
  expect(await rig.admin.command('HGET', key, 'seq')).toBe(before);
  expect(node.loads.worlds).toBe(1);
});

it('[S4] a snapshot is not written again while Postgres has nothing new', async () => {
  const address = await makeSpace(rig);
  const kept: string[] = [];
  const node = openStateNode(rig, address, {
    metadata: (method, call) => {
      if (method === 'keepWorld') kept.push(method);
      return call();
    },
  });
  await node.read();
  await node.node.settle();
  await queue(
    address,
    Array.from({ length: 1_000 }, (_, i) => put(`o${i}`)),
  );
  for (let i = 0; i < 3; i++) {
    await node.read();
    await node.node.settle();
  }
  expect(kept).toHaveLength(1);
});

it('[S4] a missing snapshot is made again, once, by a process that has a view', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await queue(address, [put('a')]);
  await node.drain.drainSpace(address, { budgetMs: 10_000 });
  await node.read();
  await node.node.settle();
  const keys = await findKeys(address, 'snap');
  for (const key of keys) await rig.admin.command('DEL', key);
  for (let i = 0; i < 3; i++) {
    await node.read();
    await node.node.settle();
  }
  expect(await findKeys(address, 'snap')).toEqual(keys);
  expect(node.loads.worlds).toBe(2);
});

it('[S1a] an older world never replaces a newer snapshot', async () => {
  const address = await makeSpace(rig);
  await openStateNode(rig, address).read();
  const { incarnation = '' } = (await rig.store.loadCursor(address)) ?? {};
  const store = createStateStore(rig.redis);
  const keep = (seq: number, epoch = '0') =>
    store.keepWorld(address, incarnation, {
      world: { seq, loadedMs: 0, objects: new Map(), avatars: new Map(), chat: NO_MESSAGES },
      marks: { version: '0', epoch, pendingUntil: '0', isErasing: false },
      token: null,
    });
  const [older, newer] = [2e15, 2e15 + 1];
  expect([await keep(newer), await keep(older)]).toEqual([true, false]);
  // Nor does a world that was loaded before an erasure.
  expect(await keep(newer + 1, '1')).toBe(false);
  const [key = '', ...others] = await findKeys(address, 'snap*');
  expect([await rig.admin.command('HGET', key, 'seq'), others]).toEqual([String(newer), []]);
});

it('a space that was created again shows nothing of its old log, even with an older cursor', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  const seq = await queue(address, [put('old')]);
  expect((await node.read()).objects).toHaveLength(1);
  await node.layer.deleteSpace(address.spaceId);
  await node.layer.putSpace(address.spaceId, { name: 'Again' });
  const store = wrapStore<DrainStore>(rig.store, async (method, call) => {
    const answer = await call();
    return method === 'openLog' ? { ...(answer as object), cursor: seq - 1 } : answer;
  });
  const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN, { store });
  await spaceLog.enqueue({ ...address, actor: null }, [put('new')], options());
  expect((await node.read()).objects.map(({ id }) => id)).toEqual(['new']);
});

it('a deleted space is not found, without a wait, however often a reader asks', async () => {
  const address = await makeSpace(rig);
  const pauses: number[] = [];
  const node = openStateNode(rig, address, { pause: async (ms) => void pauses.push(ms) });
  await node.read();
  await node.node.settle();
  await node.layer.deleteSpace(address.spaceId);
  for (let i = 0; i < 3; i++) {
    await expect(node.read()).rejects.toMatchObject({ code: 'not_found' });
    await node.node.settle();
  }
  expect(pauses).toEqual([]);
});

it('[S2] metadata is loaded again before it expires, by one of many readers and after their answers', async () => {
  const address = await makeSpace(rig);
  const nodes = [openStateNode(rig, address), openStateNode(rig, address)];
  const [one, other] = nodes as [StateNode, StateNode];
  await one.read();
  await one.node.settle();
  const { seq, rev } = await other.read();
  const [key = ''] = await findKeys(address, 'metadata');
  const longAgo = Number(await rig.admin.command('HGET', key, 'keptAt')) - 40_000_000;
  for (const version of [null, { seq, rev }]) {
    await rig.admin.command('HSET', key, 'keptAt', String(longAgo));
    await rig.admin.command('HDEL', key, 'renewedAt');
    for (const node of nodes) node.loads.arounds = 0;
    await Promise.all([...nodes, ...nodes].map((node) => node.layer.renderWorldState({ version })));
    await Promise.all(nodes.map((node) => node.node.settle()));
    expect(one.loads.arounds + other.loads.arounds).toBe(1);
    expect(Number(await rig.admin.command('HGET', key, 'keptAt'))).toBeGreaterThan(longAgo);
  }
  expect([one.loads.worlds, other.loads.worlds]).toEqual([1, 0]);
});

it('[S4b] a process asks only now and then if it must renew a snapshot, however many reads find it old', async () => {
  const address = await makeSpace(rig);
  const calls: string[] = [];
  const node = openStateNode(rig, address, {
    metadata: (method, call) => {
      calls.push(method);
      return call();
    },
    renewMs: 600_000,
  });
  await node.read();
  await node.node.settle();
  await queue(
    address,
    Array.from({ length: 1_000 }, (_, i) => put(`o${i}`)),
  );
  for (let i = 0; i < 3; i++) {
    expect((await node.read()).objects).toHaveLength(1_000);
    await node.node.settle();
  }
  expect(calls.filter((method) => method === 'beginRenewing')).toHaveLength(1);
});
