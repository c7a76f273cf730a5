import { expect, it } from 'vitest';
import type { LogAddress } from '../../src/log/log-stores.ts';
import { PostedBudget } from '../../src/log/posted-budget.ts';
import { Spill } from '../../src/log/spill.ts';
import type { SpillStore } from '../../src/log/spill-store.ts';
import { SpillingLog } from '../../src/log/spilling-log.ts';
import { createSpillStore } from '../../src/postgres/spill-store.ts';
import { isAway } from '../../src/world/errors.ts';
import { Killed, makeSpace, openDrain, openSpaceLog, type Rig, useRig, wrapStore } from './rig.ts';

const rig = useRig();

type When = 'before' | 'after';

/** All stores of a process that ends at its n-th call of a store. `calls` names each call that it made. */
function killAllAt(n: number, when: When) {
  const calls: string[] = [];
  const intercept = async (name: string, call: () => Promise<unknown>): Promise<unknown> => {
    const at = calls.push(name);
    if (at > n || (at === n && when === 'before')) throw new Killed();
    const answer = await call();
    if (at === n || calls.length > n) throw new Killed();
    return answer;
  };
  // No promise, so no crash in the middle.
  const { noteDurable } = rig.log;
  return {
    log: { ...wrapStore(rig.log, intercept), ...{ noteDurable } } as Rig['log'],
    store: wrapStore(rig.store, intercept) as Rig['store'],
    spillStore: wrapStore<SpillStore>(createSpillStore(rig.postgres), intercept),
    calls,
  };
}

function openProcess({ log, store, spillStore } = killAllAt(Number.POSITIVE_INFINITY, 'before')) {
  const { drain } = openDrain(rig, { log, store });
  const { spaceLog, options } = openSpaceLog(rig, drain, { log, store });
  const spill = new Spill(spillStore, store, {
    now: Date.now,
    // It returns nothing by itself.
    pause: () => new Promise(() => undefined),
    idempotencyTtlSeconds: 600,
    limits: { bytesMax: 2 ** 30, entriesMax: 1_000 },
    returnMsMax: 0,
    onEvent: () => undefined,
  });
  spill.useLog(spaceLog, drain, log);
  const spilling = new SpillingLog(spaceLog, spill, new PostedBudget(store, Date.now), {
    idempotencyTtlSeconds: 600,
    ...{ messagesPerMinute: 0, requestsPerMinute: 0, updatesPerMinute: 0, now: Date.now },
  });
  return { spilling, spill, options };
}

/** @returns whether the write was acknowledged */
async function say(
  { spilling, options }: ReturnType<typeof openProcess>,
  address: LogAddress,
  id: string,
): Promise<boolean> {
  const operation = { op: 'chat.post', id, userId: null, text: id, kind: 'text' } as const;
  try {
    await spilling.enqueue({ ...address, actor: null }, [operation], options());
    return true;
  } catch (error) {
    if (error instanceof Killed || isAway(error)) return false;
    throw error;
  }
}

async function readMessages({ tenantId, spaceId }: LogAddress): Promise<string[]> {
  const page = await rig.world.listMessages(tenantId, spaceId, { limit: 100, before: null, after: null });
  if (page === null || typeof page === 'string') throw new Error('The space is missing.');
  return page.messages.map(({ id }) => id).toReversed();
}

async function endOutage(): Promise<void> {
  rig.upstash.clear();
  const ping = () =>
    rig.redis.ping().then(
      () => 'back',
      () => null,
    );
  await expect.poll(ping).toBe('back');
}

/**
 * A process writes three messages while Redis is away, and a fourth whose append runs without an answer. Then Redis is back, and the
 * process returns them. It dies at its n-th call of a store. Another process goes on.
 * @returns the calls that the process made
 */
async function crash(n: number, when: When): Promise<string[]> {
  const address = await makeSpace(rig);
  await openProcess().spilling.enqueue(
    { ...address, actor: null },
    [{ op: 'put', id: 'o' }],
    openProcess().options(),
  );
  const stores = killAllAt(n, when);
  const dying = openProcess(stores);
  const acknowledged: string[] = [];
  const tell = async (id: string) => {
    if (await say(dying, address, id)) acknowledged.push(id);
  };
  rig.upstash.inject({ kind: 'drop-reply', match: 'EVALSHA' });
  await tell('lost');
  rig.upstash.clear();
  rig.upstash.inject({ kind: 'refuse' });
  for (const id of ['one', 'two', 'three']) await tell(id);
  await endOutage();
  await dying.spill.returnSpace(address).catch((error: unknown) => {
    if (!(error instanceof Killed)) throw error;
  });
  const other = openProcess();
  expect(await other.spill.returnSpace(address)).toMatchObject({ buried: 0, isLeft: false });
  const every = { requestsMax: 1_000, bytesMax: 2 ** 30 };
  expect(await createSpillStore(rig.postgres).list(address, every)).toEqual([]);
  const messages = await readMessages(address);
  const where = `${when} call ${n}, ${stores.calls[n - 1]}`;
  // Each acknowledged message is there once, in its order. One without an answer may be there, once.
  expect([where, messages.filter((id) => acknowledged.includes(id))]).toEqual([where, acknowledged]);
  expect([where, new Set(messages).size]).toEqual([where, messages.length]);
  return stores.calls;
}

it('[F2c] a process that dies at any call while it spills or returns loses and doubles nothing', async () => {
  const calls = await crash(Number.POSITIVE_INFINITY, 'before');
  // Each method of the stores that a spill and its return use.
  expect([...new Set(calls)].sort()).toEqual([
    'append',
    'applyBatch',
    'findFault',
    'isFull',
    'keep',
    'list',
    'loadCursor',
    'noteAppended',
    'noteSent',
    'read',
    'readInstance',
    'remove',
    'settle',
  ]);
  for (let n = 1; n <= calls.length; n++)
    for (const when of ['before', 'after'] as const) await crash(n, when);
  console.log(`${2 * calls.length} of ${2 * calls.length} crashes, at ${calls.length} calls`);
}, 120_000);
