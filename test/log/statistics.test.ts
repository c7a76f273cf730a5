import { expect, it } from 'vitest';
import { PersistenceLayer } from '../../src/persistence-layer.ts';
import { makeSpace, NO_DRAIN, openDrain, openSpaceLog, useRig } from './rig.ts';

const rig = useRig();

/** A layer over a log that is drained only when a test asks for it. */
async function makeLayer(now = Date.now) {
  const address = await makeSpace(rig);
  const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN, { now });
  const layer = new PersistenceLayer(rig.world, spaceLog, address);
  const enqueue = (id: string) =>
    spaceLog.enqueue({ ...address, actor: null }, [{ op: 'put', id }], options());
  const drain = () => openDrain(rig).drain.drainSpace(address, { budgetMs: 60_000 });
  return { address, layer, enqueue, drain };
}

it('statistics show the end of the log, the cursor of Postgres, and how long the oldest pending entry waits', async () => {
  let aheadMs = 0;
  const { layer, enqueue, drain } = await makeLayer(() => Date.now() + aheadMs);
  const before = await layer.getSpaceStatistics();
  expect(before).toMatchObject({ objects: 0, seq: before.durableSeq, durabilityLagMs: 0 });
  await enqueue('a');
  const { seq } = await enqueue('b');
  aheadMs = 60_000;
  const behind = await layer.getSpaceStatistics();
  expect(behind).toMatchObject({ objects: 0, seq, durableSeq: before.durableSeq });
  expect(behind.durabilityLagMs).toBeGreaterThanOrEqual(60_000);
  await drain();
  expect(await layer.getSpaceStatistics()).toMatchObject({
    objects: 2,
    seq,
    durableSeq: seq,
    durabilityLagMs: 0,
  });
});

it('statistics of a space that was created again show nothing of the old log', async () => {
  const { address, layer, enqueue } = await makeLayer();
  await enqueue('a');
  await layer.deleteSpace(address.spaceId);
  await expect(layer.getSpaceStatistics()).rejects.toMatchObject({ code: 'not_found' });
  await layer.putSpace(address.spaceId, { name: 'Again' });
  const again = await layer.getSpaceStatistics();
  expect(again).toMatchObject({ objects: 0, seq: again.durableSeq, durabilityLagMs: 0 });
});

it('statistics come from Postgres while Redis is away, and are 503 without Postgres', async () => {
  const { layer, enqueue, drain } = await makeLayer();
  const { seq } = await enqueue('a');
  await drain();
  await enqueue('b');
  rig.upstash.inject({ kind: 'refuse' });
  expect(await layer.getSpaceStatistics()).toMatchObject({
    objects: 1,
    seq,
    durableSeq: seq,
    durabilityLagMs: 0,
  });
  rig.neon.inject({ kind: 'refuse' });
  await expect(layer.getSpaceStatistics()).rejects.toMatchObject({ code: 'store_unavailable' });
});
