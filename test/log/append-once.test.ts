import { describe, expect, it } from 'vitest';
import type { LogAddress } from '../../src/log/log-stores.ts';
import { budgetKey, idempotencyKey } from '../../src/redis/keys.ts';
import { isDirty, readLog } from './fold.ts';
import { makeSpace, NO_DRAIN, NO_LIMITS, openSpaceLog, useRig } from './rig.ts';

const rig = useRig();
const OPS = [{ op: 'put' as const, id: 'x' }];

describe('an append', () => {
  it('[L4b] whose reply was lost is one entry, however often it is repeated under its key', async () => {
    const address = await makeSpace(rig);
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
    const target = { ...address, actor: null };
    await spaceLog.enqueue(target, [{ op: 'delete', id: 'opens-the-log' }], options());
    rig.upstash.inject({ kind: 'drop-reply', times: 1 });
    await expect(spaceLog.enqueue(target, OPS, options('k'))).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    const again = await spaceLog.enqueue(target, OPS, options('k'));
    expect(await spaceLog.enqueue(target, OPS, options('k'))).toEqual(again);
    const entries = await readLog(rig, address);
    expect(entries.map(({ ops }) => ops)).toEqual([[{ op: 'delete', id: 'opens-the-log' }], OPS]);
    expect(entries[1]?.seq).toBe(again.seq);
  });

  it('[L4b] that many callers send at the same time is one entry, and one answer', async () => {
    const address = await makeSpace(rig);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => {
        const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN, { log: rig.openLogStore() });
        return spaceLog.enqueue({ ...address, actor: null }, OPS, options('k'));
      }),
    );
    expect(new Set(answers.map(({ seq }) => seq)).size).toBe(1);
    expect(await readLog(rig, address)).toHaveLength(1);
  });

  it('[L4] that was refused while Redis was away writes nothing', async () => {
    const address = await makeSpace(rig);
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
    const target = { ...address, actor: null };
    await spaceLog.enqueue(target, OPS, options());
    rig.upstash.inject({ kind: 'refuse' });
    await expect(spaceLog.enqueue(target, OPS, options('k'))).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    rig.upstash.clear();
    expect(await readLog(rig, address)).toHaveLength(1);
    await spaceLog.enqueue(target, OPS, options('k'));
    expect(await readLog(rig, address)).toHaveLength(2);
  });
});

describe('[L4] an append that is refused leaves every key as it was', () => {
  const refused = [
    {
      name: 'over its budget of requests',
      code: 'rate_limited',
      change: { requestsPerMinute: 1 },
    },
    { name: 'over its budget of updates', code: 'rate_limited', change: { updatesPerMinute: 3 } },
    {
      name: 'above the cap of entries',
      code: 'backlog_full',
      change: { backlog: { bytesMax: 2 ** 40, entriesMax: 1, ageMsMax: 2 ** 40 } },
    },
    {
      name: 'above the cap of bytes',
      code: 'backlog_full',
      change: { backlog: { bytesMax: 60, entriesMax: 2 ** 40, ageMsMax: 2 ** 40 } },
    },
    {
      name: 'after an entry that is too old',
      code: 'backlog_full',
      change: { backlog: { bytesMax: 2 ** 40, entriesMax: 2 ** 40, ageMsMax: 0 } },
    },
    { name: 'under a key that was used', code: 'idempotency_key_reused', change: {}, key: 'used' },
  ];
  it.each(refused)('$name', async ({ code, change, key = 'fresh' }) => {
    const address = await makeSpace(rig);
    const counted = { requestsPerMinute: 100, updatesPerMinute: 100 };
    const target = { ...address, actor: null };
    const allowed = openSpaceLog(rig, NO_DRAIN, counted);
    await allowed.spaceLog.enqueue(target, OPS, allowed.options('used'));
    const before = await dump(address);
    expect(before.keys).toContain(budgetKey(address, 'p'));
    expect(before.keys).toContain(idempotencyKey(address, 'p', 'used'));
    const { spaceLog, defer } = openSpaceLog(rig, NO_DRAIN, { ...counted, ...change });
    const append = spaceLog.commit(target, [...OPS, ...OPS, ...OPS], {
      principal: 'p',
      defer,
      idempotency: { key, fingerprint: 'other' },
    });
    await expect(append).rejects.toMatchObject({ code });
    expect(await dump(address)).toEqual(before);
  });
});

it('an append for exactly one seq is refused after another append, and writes nothing', async () => {
  const address = await makeSpace(rig);
  const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
  const target = { ...address, actor: null };
  const first = await spaceLog.enqueue(target, OPS, options());
  const request = {
    actor: null,
    entries: [{ ops: '[{"op":"delete","id":"x"}]', count: 1 }],
    waits: false,
    idempotency: null,
    budget: null,
    backlog: NO_LIMITS,
    opened: null,
  };
  const last = await rig.log.append(address, { ...request, endsAt: first.seq });
  expect(last).toMatchObject({ status: 'appended' });
  const before = await dump(address);
  expect(await rig.log.append(address, { ...request, endsAt: first.seq })).toEqual({ status: 'ahead' });
  expect(await dump(address)).toEqual(before);
});

const READERS: Record<string, string[]> = { hash: ['HGETALL'], stream: ['XRANGE', '-', '+'] };

/** All keys of a space in Redis, with their expiry. */
async function dump(address: LogAddress) {
  const { admin } = rig;
  const keys = (await admin.command('KEYS', `wk:{${address.tenantId}!${address.spaceId}}:*`)) as string[];
  const values = keys.sort().map(async (key) => {
    const [command = 'GET', ...rest] = READERS[String(await admin.command('TYPE', key))] ?? [];
    return [key, await admin.command(command, key, ...rest), await admin.command('PEXPIRETIME', key)];
  });
  return { keys, values: await Promise.all(values), isDirty: await isDirty(rig, address) };
}
