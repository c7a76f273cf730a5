import { describe, expect, it } from 'vitest';
import type { Drain, DrainRun } from '../../src/log/drain.ts';
import type { DrainStore, LogAddress, LogStore } from '../../src/log/log-stores.ts';
import type { Operation } from '../../src/world/operation.ts';
import { expectDrained, isDirty } from './fold.ts';
import { makeSpace, NO_DRAIN, NO_LIMITS, openDrain, openSpaceLog, useRig, wrapStore } from './rig.ts';

const rig = useRig();
const BUDGET = { budgetMs: 60_000 };

function puts(count: number, from = 0): Operation[] {
  return Array.from({ length: count }, (_, i) => ({ op: 'put', id: `o${from + i}` }));
}

/** A space log that notes its drains and the pauses before them. The given drain may do nothing. */
function openNoted(drain: Pick<Drain, 'run'>, store = rig.log) {
  const noted: (number | 'drain')[] = [];
  const log = openSpaceLog(
    rig,
    {
      run(address: LogAddress, run: DrainRun) {
        noted.push('drain');
        return drain.run(address, run);
      },
    },
    { log: store, pause: async (ms) => void noted.push(ms) },
  );
  return { ...log, noted };
}

describe('[D4] a drain begins', () => {
  it('100 ms after the append that claims it, and once for all later appends until then', async () => {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    const log = rig.openLogStore({ restMs: 4_000 });
    const { spaceLog, options, settle, noted } = openNoted(openDrain(rig, { log }).drain, log);
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    const first = openSpaceLog(rig, openDrain(rig, { log }).drain, { log, pause: () => held });
    await first.spaceLog.enqueue(target, puts(1), first.options());
    for (let i = 1; i < 5; i++) await spaceLog.enqueue(target, puts(1, i), options());
    expect(noted).toEqual([]);
    letGo();
    await first.settle();
    await expectDrained(rig, address);
    // The next append finds no claim, and waits for the rest of the interval.
    await spaceLog.enqueue(target, puts(1), options());
    await settle();
    expect(noted).toEqual([expect.any(Number), 'drain']);
    expect(noted[0]).toBeGreaterThan(100);
    expect(noted[0]).toBeLessThanOrEqual(4_000);
    await expectDrained(rig, address);
  });

  it.each([
    ['and reads the log, if it waited first', false],
    ['with the appended entry itself, if a caller waits', true],
  ])('%s', async (_, isAwaited) => {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    const runs: DrainRun[] = [];
    const run = (space: LogAddress, how: DrainRun) => {
      runs.push(how);
      return openDrain(rig).drain.run(space, how);
    };
    const { spaceLog, options, settle } = openSpaceLog(rig, { run }, { pause: async () => undefined });
    if (isAwaited) await spaceLog.commit(target, puts(1), options());
    else await spaceLog.enqueue(target, puts(1), options());
    await settle();
    expect(runs.map(({ own }) => own != null)).toEqual([isAwaited]);
    await expectDrained(rig, address);
  });

  it.each([
    ['after a rest, in which more may come, if an append claimed it', true, [250]],
    ['without a rest, if it was called', false, []],
  ])('once more %s, if more entries came while it drained', async (_, isClaimed, rests) => {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
    let isFirst = true;
    const store = wrapStore<DrainStore>(rig.store, async (method, call) => {
      if (method === 'applyBatch' && isFirst) {
        isFirst = false;
        await spaceLog.enqueue(target, puts(100, 100), options());
      }
      return call();
    });
    const pauses: number[] = [];
    const { drain } = openDrain(rig, { store, pause: async (ms) => void pauses.push(ms) });
    if (isClaimed) {
      const claimed = openSpaceLog(rig, drain);
      await claimed.spaceLog.enqueue(target, puts(100), claimed.options());
      await claimed.settle();
    } else {
      await spaceLog.enqueue(target, puts(100), options());
      expect(await drain.drainSpace(address, { budgetMs: 60_000 })).toMatchObject({ batches: 2 });
    }
    expect(pauses).toEqual(rests);
    const ids = Array.from({ length: 200 }, (_, i) => `o${i}`);
    expect(await rig.store.loadObjects(address, ids)).toHaveLength(200);
    await expectDrained(rig, address);
  });

  /** The next step that a drain with a claim names each time it settles. */
  async function listNext(appends: number, { budgetMs = 20_000, restMs = 250, entriesMax = 5_000 }) {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    const others = openSpaceLog(rig, NO_DRAIN);
    let batches = 0;
    const store = wrapStore<DrainStore>(rig.store, async (method, call) => {
      if (method === 'applyBatch' && ++batches < 4)
        await others.spaceLog.enqueue(target, puts(1, batches), others.options());
      return call();
    });
    const next: string[] = [];
    const log: LogStore = { ...rig.log };
    log.read = (space, request) => rig.log.read(space, { ...request, entriesMax });
    log.settle = (space, request) => {
      next.push(request.next);
      return rig.log.settle(space, request);
    };
    let nowMs = Date.now();
    const pause = async () => {
      nowMs += restMs;
    };
    const { drain } = openDrain(rig, { log, store, pause }, () => nowMs);
    const run = (space: LogAddress, { token }: DrainRun) => drain.run(space, { token, budgetMs });
    const { spaceLog, options, settle } = openSpaceLog(rig, { run });
    for (let i = 0; i < appends; i++) await spaceLog.enqueue(target, puts(1), options());
    await settle();
    return next;
  }

  it.each([
    ['within its first 15 s', 40_000, 6_000, ['pause', 'pause', 'pause', 'continue']],
    ['within three quarters of its time', 4_000, 1_600, ['pause', 'pause', 'continue', 'continue']],
    ['while it has time', 2_000, 3_000, ['pause', 'stop']],
  ])('once more after a rest %s only', async (_, budgetMs, restMs, next) => {
    expect(await listNext(1, { budgetMs, restMs })).toEqual(next);
  });

  it('once more immediately while the log has more than one batch', async () => {
    const next = await listNext(3, { entriesMax: 1 });
    expect(next.slice(0, 2)).toEqual(['continue', 'continue']);
  });

  it.each(['while it rests', 'before its first rest'])(
    'once more without a rest, if its process ends %s',
    async (when) => {
      const address = await makeSpace(rig);
      const target = { ...address, actor: null };
      const late = openSpaceLog(rig, NO_DRAIN);
      let batches = 0;
      let end: () => void = () => undefined;
      const store = wrapStore<DrainStore>(rig.store, async (method, call) => {
        if (method === 'applyBatch' && ++batches < 4) {
          if (when !== 'while it rests') end();
          await late.spaceLog.enqueue(target, puts(1, batches), late.options());
        }
        return call();
      });
      let pauses = 0;
      const pause = () => {
        pauses++;
        end();
        return new Promise<void>(() => undefined);
      };
      const { drain } = openDrain(rig, { store, pause });
      end = () => drain.endRests();
      const { spaceLog, options, settle } = openSpaceLog(rig, drain);
      await spaceLog.enqueue(target, puts(1), options());
      await settle();
      expect([batches, pauses]).toEqual([4, when === 'while it rests' ? 1 : 0]);
      await expectDrained(rig, address);
    },
  );

  it('[D4b] again if the claim of the first expired', async () => {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    const log = rig.openLogStore({ leaseMs: 0, soonMs: 0 });
    const dead = openSpaceLog(rig, NO_DRAIN, { log });
    await dead.spaceLog.enqueue(target, puts(1), dead.options());
    const { spaceLog, options, settle } = openSpaceLog(rig, openDrain(rig).drain, { log });
    await spaceLog.enqueue(target, puts(1, 1), options());
    await settle();
    await expectDrained(rig, address);
  });
});

describe('[D4] a drain that does not finish', () => {
  it('[D4d] asks QStash to continue after a failure', async () => {
    const address = await makeSpace(rig);
    const { drain, published, told } = openDrain(rig);
    const { spaceLog, options, settle } = openSpaceLog(rig, drain);
    await spaceLog.enqueue({ ...address, actor: null }, puts(1), options());
    rig.neon.inject({ kind: 'refuse' });
    await settle();
    expect(published).toMatchObject([{ ...address, delaySeconds: 5 }]);
    expect(told).toMatchObject([{ event: 'drain_failed', address }]);
  });

  it('[D5d] is an incident, and does not start again immediately, if Postgres refuses its role', async () => {
    const address = await makeSpace(rig);
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
    await spaceLog.enqueue({ ...address, actor: null }, puts(1), options());
    const store = wrapStore<DrainStore>(rig.store, async (method, call) => {
      if (method !== 'applyBatch') return call();
      await rig.postgres.inTenant(address.tenantId, (db) => [
        db.execute("do $$ begin raise sqlstate '42501'; end $$"),
      ]);
    });
    const { drain, published, told } = openDrain(rig, { store });
    const run = { token: null, budgetMs: 60_000 };
    await expect(drain.run(address, run)).rejects.toMatchObject({
      code: 'store_unavailable',
      needsOperator: true,
    });
    expect(told.map(({ event, kind }) => [event, kind])).toEqual([
      ['drain_failed', undefined],
      ['drain_incident', 'refused_by_postgres'],
    ]);
    expect(published).toEqual([]);
    expect(await isDirty(rig, address)).toBe(true);
  });

  it('[D4d] reports that it continues when its time is over, and asks QStash to continue', async () => {
    const address = await makeSpace(rig);
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
    for (let i = 0; i < 3; i++) await spaceLog.enqueue({ ...address, actor: null }, puts(1, i), options());
    // Each read of the clock takes a second.
    let nowMs = Date.now();
    const log = { ...rig.log };
    log.read = (space, request) => rig.log.read(space, { ...request, entriesMax: 1 });
    const { drain, published } = openDrain(rig, { log }, () => {
      nowMs += 1_000;
      return nowMs;
    });
    const report = await drain.drainSpace(address, { budgetMs: 1 });
    expect(report).toMatchObject({ status: 'continues', entries: 1 });
    expect(published).toEqual([{ ...address, delaySeconds: 5 }]);
    expect(await isDirty(rig, address)).toBe(true);
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    await expectDrained(rig, address);
  });

  it('[D4e] leaves its space to the sweep, which drains all such spaces, also if one of them fails', async () => {
    const addresses = [await makeSpace(rig), await makeSpace(rig), await makeSpace(rig)];
    const [first] = addresses;
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
    for (const address of addresses) await spaceLog.enqueue({ ...address, actor: null }, puts(1), options());
    const { drain } = openDrain(rig);
    // The space that waits longest cannot be drained now.
    rig.neon.inject({ kind: 'refuse', match: first?.tenantId ?? '' });
    const report = await drain.sweep(BUDGET);
    expect(report.left).toBe(1);
    for (const address of addresses.slice(1)) await expectDrained(rig, address);
    rig.neon.clear();
    await drain.sweep(BUDGET);
    for (const address of addresses) await expectDrained(rig, address);
  });

  it('[D4e] comes after the others at the next sweep', async () => {
    const addresses: LogAddress[] = [];
    for (let i = 0; i < 3; i++) addresses.push(await makeSpace(rig));
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
    const appendAll = async () => {
      for (const [i, address] of addresses.entries())
        await spaceLog.enqueue({ ...address, actor: null }, puts(1, i), options());
    };
    const begun: string[] = [];
    const store = wrapStore<DrainStore>(rig.store, (method, call, [address]) => {
      if (method === 'listUncorrected') begun.push((address as LogAddress).tenantId);
      return call();
    });
    const { drain } = openDrain(rig, { store });
    const [first, ...others] = addresses.map(({ tenantId }) => tenantId);
    await appendAll();
    rig.neon.inject({ kind: 'refuse', match: first ?? '' });
    await drain.sweep(BUDGET);
    expect(begun.filter((tenantId) => [first, ...others].includes(tenantId))).toEqual([first, ...others]);
    rig.neon.clear();
    await appendAll();
    begun.length = 0;
    await drain.sweep(BUDGET);
    expect(begun.filter((tenantId) => [first, ...others].includes(tenantId))).toEqual([...others, first]);
    for (const address of addresses) await expectDrained(rig, address);
  });

  it('is relieved if another drain took over, and settles nothing for it', async () => {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    const log = rig.openLogStore({ soonMs: 4_000 });
    const tokens: (string | null)[] = [];
    const noting = {
      run(space: LogAddress, run: DrainRun) {
        tokens.push(run.token);
        return NO_DRAIN.run(space, run);
      },
    };
    const { spaceLog, options, settle } = openSpaceLog(rig, noting, { log, pause: async () => undefined });
    await spaceLog.enqueue(target, puts(1), options());
    await settle();
    const entries = [{ ops: '[{"op":"put","id":"o1"}]', count: 1 }];
    const nothingElse = { idempotency: null, budget: null, opened: null, backlog: NO_LIMITS };
    await log.append(address, { actor: null, entries, waits: true, ...nothingElse });
    const { drain } = openDrain(rig);
    expect(await drain.run(address, { token: tokens[0] ?? null, ...BUDGET })).toMatchObject({
      status: 'relieved',
      entries: 0,
    });
    await drain.sweep(BUDGET);
    await expectDrained(rig, address);
  });

  it('loses no append between its last batch and its end', async () => {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    const late = openSpaceLog(rig, NO_DRAIN);
    let batches = 0;
    const store = wrapStore<DrainStore>(rig.store, async (method, call) => {
      const answer = await call();
      if (method === 'applyBatch' && ++batches < 4)
        await late.spaceLog.enqueue(target, puts(1, batches), late.options());
      return answer;
    });
    const { spaceLog, options, settle } = openSpaceLog(rig, openDrain(rig, { store }).drain);
    await spaceLog.enqueue(target, puts(1), options());
    await settle();
    expect(batches).toBeGreaterThanOrEqual(4);
    await expectDrained(rig, address);
  });
});

describe('[D7] while Postgres is away', () => {
  const caps = [
    { kind: 'entries', backlog: { ...NO_LIMITS, entriesMax: 5 }, accepted: 5 },
    // An operation has 22 bytes, and its list two more.
    { kind: 'bytes', backlog: { ...NO_LIMITS, bytesMax: 100 }, accepted: 4 },
  ];
  it.each(caps)(
    'appends are queued up to the cap of $kind, and then refused',
    async ({ backlog, accepted }) => {
      const address = await makeSpace(rig);
      const target = { ...address, actor: null };
      const { drain } = openDrain(rig);
      const { spaceLog, options, settle } = openSpaceLog(rig, drain, { backlog });
      await spaceLog.commit(target, puts(1), options());
      rig.neon.inject({ kind: 'refuse' });
      for (let i = 0; i < accepted; i++)
        expect(await spaceLog.enqueue(target, puts(1, i), options())).toMatchObject({ status: 'queued' });
      for (let i = 0; i < 2; i++)
        await expect(spaceLog.enqueue(target, puts(1, 9), options())).rejects.toMatchObject({
          code: 'backlog_full',
          retryAfterSeconds: 5,
        });
      await settle();
      rig.neon.clear();
      await drain.drainSpace(address, BUDGET);
      const { entries } = await expectDrained(rig, address);
      expect(entries).toHaveLength(1 + accepted);
      expect(await spaceLog.enqueue(target, puts(1, 9), options())).toMatchObject({ status: 'queued' });
      await settle();
    },
  );

  it('appends are refused after the oldest entry has waited too long', async () => {
    const address = await makeSpace(rig);
    const target = { ...address, actor: null };
    const allowed = openSpaceLog(rig, NO_DRAIN);
    await allowed.spaceLog.enqueue(target, puts(1), allowed.options());
    const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN, { backlog: { ...NO_LIMITS, ageMsMax: 0 } });
    await expect(spaceLog.enqueue(target, puts(1, 1), options())).rejects.toMatchObject({
      code: 'backlog_full',
    });
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    expect(await spaceLog.enqueue(target, puts(1, 1), options())).toMatchObject({ status: 'queued' });
  });
});
