import { expect, it, onTestFinished } from 'vitest';
import { openOwnRedis } from '../http/own-redis.ts';
import { makeSpace } from './rig.ts';
import { openStateNode, put, useStates } from './state-rig.ts';

const { rig, queue, namesOf } = useStates();
void [openOwnRedis, onTestFinished];

it('[S1f] a state has the queued writes although Redis has just answered too slowly', async () => {
  const address = await makeSpace(rig);
  await queue(address, [put('a', 'A')]);
  // Three slow answers in a row: the client refuses further calls for a second.
  rig.upstash.inject({ kind: 'latency', latencyMs: 4_200, times: 3, match: address.tenantId });
  const nodes = [1, 2, 3].map(() => openStateNode(rig, address));
  expect(await Promise.all(nodes.map(namesOf))).toEqual([['A'], ['A'], ['A']]);
});

it('[S1f] a state is provisional while Redis is away, and has no version', async () => {
  const address = await makeSpace(rig);
  const node = openStateNode(rig, address);
  await queue(address, [put('a', 'A')]);
  await node.drain.drainSpace(address, { budgetMs: 10_000 });
  const before = await node.read();
  await queue(address, [put('b', 'B')]);
  rig.upstash.inject({ kind: 'refuse' });
  const away = await node.read();
  expect([away.seq, away.spilled, away.objects]).toEqual([before.seq, 0, before.objects]);
  await expect(node.layer.getStateVersion()).rejects.toMatchObject({ code: 'state_unsettled' });
  const { isProvisional, lines } = await node.layer.streamWorldState();
  expect(isProvisional).toBe(true);
  expect((await lines.next()).value).toMatchObject({ kind: 'space', spilled: 0 });
  await lines.return(undefined);
  rig.upstash.clear();
  await expect.poll(() => namesOf(node), { timeout: 10_000 }).toEqual(['A', 'B']);
  expect(await node.read()).not.toHaveProperty('spilled');
});
