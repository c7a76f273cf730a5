import { expect, it } from 'vitest';
import { createStateLoader } from '../../src/postgres/operations/load-snapshot.ts';
import { AppError } from '../../src/world/errors.ts';
import { listIncidents } from './fold.ts';
import { makeSpace, NO_DRAIN, openSpaceLog, wrapStore } from './rig.ts';
import { openStateNode, put, useStates } from './state-rig.ts';

const { rig, queue, namesOf, findKeys } = useStates();

it('[S1] a state shows a write immediately after its 202, and says that Postgres does not have it yet', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  const { seq: before } = await node.read();
  const seq = await queue(address, [put('a', 'A')]);
  const state = await node.read();
  expect(state).toMatchObject({ seq, space: { seq }, objects: [{ id: 'a', name: 'A', seq }] });
  expect(state.durableSeq).toBe(before);
  await node.drain.drainSpace(address, { budgetMs: 10_000 });
  expect((await node.read()).durableSeq).toBe(seq);
});

it('[S2a] 100 readers of a cold space cause one load', async () => {
  const address = await makeSpace(rig);
  await queue(address, [put('a', 'A')]);
  // The clock does not move, so no reader stops waiting.
  const nodes = Array.from({ length: 5 }, () => openStateNode(rig, address, { now: () => 1 }));
  const states = await Promise.all(nodes.flatMap((node) => Array.from({ length: 20 }, () => node.read())));
  for (const { objects } of states) expect(objects).toMatchObject([{ id: 'a' }]);
  expect(nodes.reduce((sum, { loads }) => sum + loads.worlds, 0)).toBe(1);
  expect(nodes.reduce((sum, { loads }) => sum + loads.arounds, 0)).toBe(0);
});

it('a read of a space that does not exist is not_found', async () => {
  const node = openStateNode(rig, { tenantId: 'nobody', spaceId: 'nowhere' });
  await expect(node.read()).rejects.toMatchObject({ code: 'not_found' });
});

it('[S2] a read is one command, with or without a view, and so is a read without news', async () => {
  const address = await makeSpace(rig);
  const calls: string[] = [];
  const options: Parameters<typeof openStateNode>[2] = {
    metadata: (method, call) => {
      calls.push(method);
      return call();
    },
  };
  const [holding, forgetful] = [
    openStateNode(rig, address, options),
    openStateNode(rig, address, { ...options, viewCharactersMax: 0 }),
  ];
  await holding.read();
  await holding.node.settle();
  await queue(address, [put('a', 'A')]);
  for (const node of [holding, forgetful]) {
    calls.length = 0;
    const { seq, rev } = await node.read();
    expect(calls).toEqual(['read']);
    const again = await node.layer.renderWorldState({ version: { seq, rev } });
    expect([again.status, calls]).toEqual(['same', ['read', 'read']]);
  }
});

it('[L7] a reader that finds a staged world waits until it is applied', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await queue(address, [put('old')]);
  await node.read();
  const staged = await rig.world.stageWorld(
    { ...address, actor: null },
    { objects: [], models: [], media: [], chat: [] },
  );
  if (staged === 'unknown_space') throw new Error('there is no space');
  const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
  const { stageId } = staged;
  const saving = spaceLog.commitStage({ ...address, actor: null }, { stageId, mode: 'replace' }, options());
  await expect.poll(async () => (await rig.log.readBacklog(address)).entries).toBe(2);
  await queue(address, [put('new')]);
  expect((await node.read()).objects.map(({ id }) => id)).toEqual(['new']);
  expect(await saving).toMatchObject({ status: 'committed' });
});

it('[F3] without Postgres a state comes from the cache, with all later acknowledged writes', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await node.read();
  await node.node.settle();
  rig.neon.inject({ kind: 'refuse' });
  await queue(address, [put('a', 'A')]);
  for (const reader of [node, openStateNode(rig, address)]) expect(await namesOf(reader)).toEqual(['A']);
});

it('[F5] a failed load is an error and is not cached: the next load is complete', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await queue(address, [put('a', 'A')]);
  rig.neon.inject({ kind: 'refuse' });
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => node.read()));
  for (const outcome of outcomes)
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'store_unavailable' } });
  await node.node.settle();
  expect(await findKeys(address, 'snap')).toEqual([]);
  rig.neon.clear();
  expect(await namesOf(node)).toEqual(['A']);
});

it('[F5] a world that is deleted or replaced while its pages are loaded is an error', async () => {
  const address = await makeSpace(rig);
  const { layer } = openStateNode(rig, address);
  const properties = { text: 'x'.repeat(60_000) };
  const world = { objects: Array.from({ length: 110 }, (_, i) => ({ id: `o${i}`, properties })) };
  await layer.saveWorldState(world);
  let meanwhile = async () => undefined as unknown;
  let calls = 0;
  const postgres = wrapStore(rig.postgres, async (_, call) => {
    // The first call finds more than a page. After it, every second call is for the second page.
    if (++calls > 1 && calls % 2 === 1) await meanwhile();
    return call();
  });
  const node = openStateNode(rig, address, { loader: createStateLoader(postgres) });
  meanwhile = () => Promise.reject(new AppError('store_unavailable', 'away'));
  await expect(node.read()).rejects.toMatchObject({ code: 'store_unavailable' });
  meanwhile = () => layer.saveWorldState(world);
  calls = 0;
  const failed = await createStateLoader(postgres)
    .loadWorld(address, 2 ** 30)
    .catch((error: unknown) => error);
  expect([failed, calls]).toMatchObject([{ code: 'state_unsettled' }, 7]);
  meanwhile = async () => undefined;
  await node.node.settle();
  expect((await node.read()).objects).toHaveLength(110);
}, 60_000);

it('[S2] a reader does not wait for a load of another reader that could not be kept', async () => {
  const address = await makeSpace(rig);
  await queue(address, [put('a', 'A')]);
  const first = openStateNode(rig, address);
  rig.upstash.inject({ kind: 'refuse', match: ':snap:' });
  await first.read();
  await first.node.settle();
  const pauses: number[] = [];
  const second = openStateNode(rig, address, { pause: async (ms) => void pauses.push(ms) });
  expect(await namesOf(second)).toEqual(['A']);
  expect(pauses).toEqual([]);
});

it('[F2] without Redis a state shows what Postgres has', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await queue(address, [put('a', 'A')]);
  await node.drain.drainSpace(address, { budgetMs: 10_000 });
  rig.upstash.inject({ kind: 'refuse' });
  expect(await namesOf(node)).toEqual(['A']);
});

it('one lost answer of Redis does not make a reader get an older state', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await node.read();
  await queue(address, [put('a', 'A')]);
  rig.upstash.inject({ kind: 'drop-reply', times: 1, match: address.tenantId });
  expect(await namesOf(node)).toEqual(['A']);
});

it('a state that Redis cannot give, while its other answers are fine, is read when Postgres has it', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address, {
    metadata: async (method, call) => {
      // As if the answer were too large to send.
      if (method === 'read') throw new AppError('store_unavailable', 'It is too large.');
      return call();
    },
  });
  await queue(address, [put('a', 'A')]);
  expect(await namesOf(node)).toEqual(['A']);
});

it('[S5] a world too large for a snapshot is read from Postgres after all acknowledged writes', async () => {
  const address = await makeSpace(rig);
  for (const node of [
    openStateNode(rig, address, { worldCharactersMax: 100 }),
    openStateNode(rig, address, { keeps: false }),
  ]) {
    await queue(address, [put('a', 'A'), put('b', 'B')]);
    await node.drain.drainSpace(address, { budgetMs: 10_000 });
    expect(await namesOf(node)).toEqual(['A', 'B']);
    await queue(address, [put('a', 'A2')]);
    expect(await namesOf(node)).toEqual(['A2', 'B']);
    expect((await node.read()).seq).toBe((await rig.store.loadCursor(address))?.cursor);
    const lines = [];
    for await (const line of (await node.layer.streamWorldState()).lines) lines.push(line);
    expect(lines.filter(({ kind }) => kind === 'object')).toHaveLength(2);
  }
});

it('a region and an NDJSON state have all earlier acknowledged writes', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await node.read();
  await queue(address, [{ op: 'put', id: 'near', position: { x: 1, y: 0, z: 0 } }, put('here')]);
  const region = { near: { x: 1, y: 0, z: 0 }, radius: 0.5 };
  const { objects } = await node.layer.loadWorldState('main', { region });
  expect(objects.map(({ id }) => id)).toEqual(['near']);
  await queue(address, [put('last')]);
  const lines = [];
  for await (const line of (await node.layer.streamWorldState()).lines) lines.push(line);
  expect(lines.filter(({ kind }) => kind === 'object')).toHaveLength(3);
});

it('[L2b] if the log lost entries, a reader sees the remaining ones, and the loss is an incident', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await queue(address, [put('kept')]);
  await node.drain.drainSpace(address, { budgetMs: 10_000 });
  await node.read();
  await queue(address, [put('lost')]);
  const [key = ''] = await findKeys(address, 'log');
  await rig.admin.command('DEL', key);
  await queue(address, [put('after')]);
  expect((await node.read()).objects.map(({ id }) => id)).toEqual(['after', 'kept']);
  expect(await listIncidents(rig, address)).toMatchObject([{ kind: 'log_gap' }]);
});

it.each([0, 2 ** 20])(
  '[L2b] if the log lost its end, a reader sees the remaining entries (a view of %i)',
  async (max) => {
    const address = await makeSpace(rig);
    const node = openStateNode(rig, address, { viewCharactersMax: max });
    await node.read();
    await node.node.settle();
    await queue(address, [put('kept')]);
    const seq = await queue(address, [put('lost')]);
    const [key = ''] = await findKeys(address, 'log');
    await rig.admin.command('XDEL', key, `${seq}-0`);
    expect((await node.read()).objects.map(({ id }) => id)).toEqual(['kept']);
    expect(await listIncidents(rig, address)).toMatchObject([{ kind: 'log_gap' }]);
  },
);

it('a Redis that lost its memory is filled again, and seqs continue', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await queue(address, [put('a', 'A')]);
  await node.drain.drainSpace(address, { budgetMs: 10_000 });
  await node.read();
  await node.node.settle();
  const keys = (await rig.admin.command('KEYS', `wk:{${address.tenantId}*`)) as string[];
  for (const key of keys) await rig.admin.command('DEL', key);
  expect(await namesOf(node)).toEqual(['A']);
  const seq = await queue(address, [put('b', 'B')]);
  expect((await node.read()).seq).toBe(seq);
});

it('a snapshot that cannot be read is not used, and is made again', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address, { viewCharactersMax: 0 });
  await queue(address, [put('a', 'A')]);
  await node.read();
  await node.node.settle();
  const [key = ''] = await findKeys(address, 'snap');
  await rig.admin.command('HSET', key, '0', 'nonsense');
  expect(await namesOf(node)).toEqual(['A']);
  await node.node.settle();
  expect(node.loads.worlds).toBe(2);
  expect(await namesOf(node)).toEqual(['A']);
  expect(node.loads.worlds).toBe(2);
});

it('a state has the same text if it was folded from the log or read from Postgres', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await node.read();
  const properties = { zz: 1, b: { longer: [1, { y: 1, x: 2 }], a: null }, é: 1.5e300, '10': 0, '9': -0 };
  await queue(address, [{ op: 'put', id: 'a', properties }]);
  await queue(address, [{ op: 'user.patch', id: 'mia', properties }]);
  await queue(address, [{ op: 'patch', id: 'a', properties: { aaa: true, b: { a: 3 } } }]);
  const folded = await node.layer.renderWorldState();
  await node.drain.drainSpace(address, { budgetMs: 10_000 });
  const [key = ''] = await findKeys(address, 'snap');
  await rig.admin.command('DEL', key);
  const loaded = await openStateNode(rig, address).layer.renderWorldState();
  if (folded.status !== 'state' || loaded.status !== 'state') throw new Error('no state');
  const shownOf = (text: string) => /"objects":\[.*\],"models"/.exec(text)?.[0];
  expect(shownOf(loaded.text)).toBe(shownOf(folded.text));
  expect(shownOf(loaded.text)).toContain('"id":"mia"');
});

it('hits and misses are counted for the whole deployment', async () => {
  const address = await makeSpace(rig);
  const nodes = [openStateNode(rig, address), openStateNode(rig, address)];
  for (const node of nodes) for (let i = 0; i < 5; i++) await node.read();
  // Each process sends its counts with its next read.
  for (const node of nodes) await node.read();
  const key = `wk:{${address.tenantId}}:cache-stats`;
  expect(await rig.admin.command('HMGET', key, 'hits', 'misses')).toEqual(['9', '1']);
});

it('[F5] if the load of one reader does not end, another reader loads the world', async () => {
  const address = await makeSpace(rig);
  const never = new Promise<never>(() => undefined);
  const stuck = openStateNode(rig, address, {
    loader: wrapStore(createStateLoader(rig.postgres), () => never),
  });
  void stuck.read();
  await expect.poll(() => findKeys(address, 'loader')).toHaveLength(1);
  let nowMs = 0;
  const node = openStateNode(rig, address, {
    now: () => nowMs,
    pause: async () => {
      nowMs += 1_000;
    },
  });
  expect((await node.read()).objects).toEqual([]);
});
