import { sql } from 'drizzle-orm';
import { describe, expect, it } from 'vitest';
import type { DrainStore, LogAddress } from '../../src/log/log-stores.ts';
import { logKey, logMetaKey } from '../../src/redis/keys.ts';
import { expectDrained, listIncidents, loadState, readLog } from './fold.ts';
import { makeSpace, NO_DRAIN, openDrain, openSpaceLog, useRig, wrapStore } from './rig.ts';

const rig = useRig();
const BUDGET = { budgetMs: 60_000 };
const HOUR_US = 3_600_000_000;

/** Another process appends: it knows nothing of the space. */
async function append(address: LogAddress, id: string) {
  const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN, { log: rig.openLogStore() });
  return (await spaceLog.enqueue({ ...address, actor: null }, [{ op: 'put', id }], options())).seq;
}

async function drain(address: LogAddress) {
  return openDrain(rig, { log: rig.openLogStore() }).drain.drainSpace(address, BUDGET);
}

async function idsIn(address: LogAddress) {
  const { objects } = await loadState(rig, address);
  return objects.map((object) => (object as { id: string }).id);
}

async function findLogKey(address: LogAddress) {
  const opened = await rig.store.loadCursor(address);
  return logKey(address, opened?.incarnation ?? '');
}

/** Moves the cursor of the space an hour ahead, as if the clock had been set back since then. */
async function moveAhead(address: LogAddress) {
  const seq = Date.now() * 1_000 + HOUR_US;
  await rig.postgres.inTenant(address.tenantId, (db) => [
    db.execute(sql`update spaces set log_cursor = ${seq} where space_id = ${address.spaceId}`),
  ]);
  return seq;
}

/** Tells Postgres that the log was opened over a minute ago: from then on, a missing log is a loss. */
async function openedLongAgo(address: LogAddress) {
  await rig.postgres.inTenant(address.tenantId, (db) => [
    db.execute(
      sql`update spaces set log_opened_at = now() - interval '2 minutes' where space_id = ${address.spaceId}`,
    ),
  ]);
}

describe('[L4] a log that Redis forgot', () => {
  it('[L4i] continues above all its seqs after FLUSHALL, and the loss is an incident', async () => {
    const address = await makeSpace(rig);
    const first = await append(address, 'durable');
    await drain(address);
    const lost = await append(address, 'lost');
    await rig.admin.command('FLUSHALL');
    const next = await append(address, 'next');
    expect(first).toBeLessThan(lost);
    expect(lost).toBeLessThan(next);
    await drain(address);
    expect(await idsIn(address)).toEqual(['durable', 'next']);
    expect(await listIncidents(rig, address)).toEqual([{ kind: 'log_lost', detail: { durableSeq: first } }]);
    // Once, not for every process that opens it.
    await append(address, 'more');
    await drain(address);
    expect(await listIncidents(rig, address)).toHaveLength(1);
  });

  it('[L4i] is an incident of the drain that finds no entries although Postgres expects some', async () => {
    const address = await makeSpace(rig);
    const first = await append(address, 'durable');
    await drain(address);
    await append(address, 'lost');
    await rig.admin.command('FLUSHALL');
    await drain(address);
    expect(await listIncidents(rig, address)).toEqual([{ kind: 'log_lost', detail: { durableSeq: first } }]);
  });

  it('[L4g] gives no seq again if the clock also went back an hour', async () => {
    const address = await makeSpace(rig);
    const ahead = await moveAhead(address);
    expect(await append(address, 'a')).toBe(ahead + 1);
    expect(await append(address, 'b')).toBe(ahead + 2);
    await drain(address);
    await rig.admin.command('FLUSHALL');
    // One seq is the break that tells readers about the loss.
    expect(await append(address, 'c')).toBe(ahead + 4);
    expect(await append(address, 'd')).toBe(ahead + 5);
    await drain(address);
    expect(await idsIn(address)).toEqual(['a', 'b', 'c', 'd']);
    expect(await listIncidents(rig, address)).toMatchObject([{ kind: 'log_lost' }]);
  });
});

describe('[L4] a log that lost only its hash', () => {
  it('[L4g] continues where the stream ends, and loses nothing', async () => {
    const address = await makeSpace(rig);
    const ahead = await moveAhead(address);
    await append(address, 'drained');
    await drain(address);
    expect(await append(address, 'waiting')).toBe(ahead + 2);
    await rig.admin.command('DEL', logMetaKey(address));
    expect(await append(address, 'next')).toBe(ahead + 3);
    await drain(address);
    await expectDrained(rig, address);
    expect(await idsIn(address)).toEqual(['drained', 'next', 'waiting']);
  });

  it('is drained by the sweep although no more appends come', async () => {
    const address = await makeSpace(rig);
    await append(address, 'a');
    await drain(address);
    await append(address, 'waiting');
    await rig.admin.command('DEL', logMetaKey(address));
    const { drain: other } = openDrain(rig, { log: rig.openLogStore() });
    await other.sweep(BUDGET);
    expect(await idsIn(address)).toEqual(['a', 'waiting']);
    await expectDrained(rig, address);
  });

  it('[L4b] keeps the first response of an idempotency key', async () => {
    const address = await makeSpace(rig);
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
    const target = { ...address, actor: null };
    const first = await spaceLog.enqueue(target, [{ op: 'put', id: 'a' }], options('k'));
    await rig.admin.command('DEL', logMetaKey(address));
    expect(await spaceLog.enqueue(target, [{ op: 'put', id: 'a' }], options('k'))).toEqual(first);
    expect(await readLogOpened(address)).toHaveLength(1);
  });
});

/** Appends, so that a log that is not open is opened. @returns the entries before that append */
async function readLogOpened(address: LogAddress) {
  await append(address, 'opens');
  return (await readLog(rig, address)).slice(0, -1);
}

describe('[L2] a log that lost entries', () => {
  it('in its middle reports which, and continues', async () => {
    const address = await makeSpace(rig);
    const first = await append(address, 'a');
    const second = await append(address, 'b');
    const third = await append(address, 'c');
    await rig.admin.command('XDEL', await findLogKey(address), `${second}-0`);
    await drain(address);
    expect(await idsIn(address)).toEqual(['a', 'c']);
    expect(await listIncidents(rig, address)).toEqual([
      { kind: 'log_gap', detail: { after: first, prev: second, next: third } },
    ]);
  });

  it('at its end reports it, and continues', async () => {
    const address = await makeSpace(rig);
    const first = await append(address, 'a');
    await drain(address);
    const last = await append(address, 'lost');
    await rig.admin.command('DEL', await findLogKey(address));
    const drained = await drain(address);
    expect(drained.status).toBe('drained');
    expect(drained.seq).toBeGreaterThan(last);
    expect(await listIncidents(rig, address)).toEqual([
      { kind: 'log_gap', detail: { after: first, prev: last, next: null } },
    ]);
    await append(address, 'next');
    await drain(address);
    expect(await idsIn(address)).toEqual(['a', 'next']);
    expect(await listIncidents(rig, address)).toHaveLength(1);
  });

  it('of its whole stream is an incident when a cold append finds it', async () => {
    const address = await makeSpace(rig);
    const first = await append(address, 'a');
    await drain(address);
    await append(address, 'lost');
    await openedLongAgo(address);
    await rig.admin.command('DEL', logMetaKey(address), await findLogKey(address));
    await append(address, 'next');
    await drain(address);
    expect(await listIncidents(rig, address)).toEqual([{ kind: 'log_lost', detail: { durableSeq: first } }]);
  });

  it.each(['sleeps', 'rests'])(
    'but only its hash, is drained by the drain that %s at that time',
    async (when) => {
      const address = await makeSpace(rig);
      const target = { ...address, actor: null };
      const forget = async () => void (await rig.admin.command('DEL', logMetaKey(address)));
      let isFirst = true;
      const store = wrapStore<DrainStore>(rig.store, async (method, call) => {
        if (method === 'applyBatch' && isFirst && when === 'rests') {
          isFirst = false;
          await append(address, 'b');
        }
        return call();
      });
      const { drain } = openDrain(rig, { store, ...(when === 'rests' && { pause: forget }) });
      const { spaceLog, options, settle } = openSpaceLog(rig, drain, {
        ...(when === 'sleeps' && { pause: forget }),
      });
      await spaceLog.enqueue(target, [{ op: 'put', id: 'a' }], options());
      await settle();
      expect(await idsIn(address)).toEqual(when === 'rests' ? ['a', 'b'] : ['a']);
    },
  );

  it('does not answer `committed` to a caller that waits for a lost entry', async () => {
    const address = await makeSpace(rig);
    await append(address, 'a');
    const { drain: other } = openDrain(rig);
    const { spaceLog, options } = openSpaceLog(rig, {
      async run(space, run) {
        await rig.admin.command('DEL', await findLogKey(address));
        return other.run(space, run);
      },
    });
    const answer = spaceLog.commit({ ...address, actor: null }, [{ op: 'put', id: 'b' }], options());
    await expect(answer).rejects.toMatchObject({ code: 'store_unavailable' });
  });
});
