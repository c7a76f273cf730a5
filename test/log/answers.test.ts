import { describe, expect, it } from 'vitest';
import type { CommittedOperations, DrainStore, LogAddress, Queued } from '../../src/log/space-log.ts';
import type { BatchOutcome } from '../../src/world/batch.ts';
import { AppError } from '../../src/world/errors.ts';
import type { Operation } from '../../src/world/operation.ts';
import type { JsonObject } from '../../src/world/types.ts';
import { queryAs } from '../log-space.ts';
import { expectDrained } from './fold.ts';
import { makeSpace, NO_LIMITS, openDrain, openSpaceLog, useRig, wrapStore } from './rig.ts';

const rig = useRig();
/** An object has room for one member of this length, but not for two. */
const LONG = 'x'.repeat(40_000);
const x = (op: 'put' | 'patch', properties?: JsonObject, rest: object = {}) =>
  ({ op, id: 'x', ...(properties && { properties }), ...rest }) as Operation;
const gone: Operation = { op: 'delete', id: 'x' };

/** A space whose log fills up while no drain runs. `drainOnce` drains it and returns the number of batches. */
async function holdDrains({ store = rig.store }: { store?: DrainStore } = {}) {
  const address = await makeSpace(rig);
  const { promise: held, resolve: open } = Promise.withResolvers<void>();
  const batches: unknown[] = [];
  const counted = wrapStore(store, async (method, call, args) => {
    const outcome = await call();
    // Several drains begin at the same time, and one of them applies.
    if (method === 'applyBatch' && (outcome as BatchOutcome).status === 'applied') batches.push(args);
    return outcome;
  });
  const { drain } = openDrain(rig, { store: counted });
  const log = openSpaceLog(
    rig,
    {
      async run(space, run) {
        await held;
        return drain.run(space, { ...run, own: null });
      },
    },
    { store: counted },
  );
  /** Resolves when the operation is in the log. */
  async function append(start: () => Promise<unknown>): Promise<void> {
    const { entries } = await rig.log.readBacklog(address);
    void start();
    await expect
      .poll(async () => (await rig.log.readBacklog(address)).entries, { interval: 2 })
      .toBe(entries + 1);
  }
  const letGo = async () => {
    open();
    await log.settle();
  };
  return {
    address,
    batches,
    letGo,
    /** A write whose caller waits for its object; the answer comes with the drain. */
    async write(operation: Operation, actor = 'ann') {
      let answer: Promise<Queued | CommittedOperations> | undefined;
      await append(() => {
        answer = log.spaceLog.commit({ ...address, actor }, [operation], {
          ...log.options(),
          returnsObject: true,
        });
        return answer;
      });
      return async () => answer as Promise<Queued | CommittedOperations>;
    },
    /** A write of another actor, who does not wait. */
    enqueue: (operation: Operation) =>
      append(() => log.spaceLog.enqueue({ ...address, actor: 'bob' }, [operation], log.options())),
    async drainOnce() {
      await letGo();
      await expectDrained(rig, address);
      return batches.length;
    },
  };
}

async function show(answer: () => Promise<Queued | CommittedOperations>) {
  const outcome = await answer();
  if (outcome.status === 'queued') return 'queued';
  const { written, seq, results } = outcome;
  if (!written) return results[0]?.status;
  const { object, createdSeq } = written;
  expect(object).toMatchObject({ id: 'x', seq });
  return { ...object.properties, name: object.name, by: object.updatedBy, isCreated: createdSeq === seq };
}

describe('[D8d] the answer of a put or patch that waits', () => {
  it('is the object as that write left it, also with other writes in its batch', async () => {
    const { write, enqueue, drainOnce } = await holdDrains();
    await enqueue(x('patch', { lost: 1 }));
    const answers = [
      await write(x('put', { a: 1 }, { name: 'n' })),
      await write(x('patch', { b: 2 }), 'cleo'),
    ];
    await enqueue(x('patch', { a: null, c: 3 }));
    answers.push(await write(x('patch')));
    await enqueue(gone);
    answers.push(await write(x('patch', { d: 4 })));
    await enqueue(x('put', { e: 5 }));
    answers.push(await write(x('put', { f: 6 })), await write(x('put', { g: 7 }, { ifExists: false })));
    await enqueue(gone);
    answers.push(await write(x('put', { h: 8 })));
    await enqueue(x('put', { last: true }));
    expect(await drainOnce()).toBe(1);
    expect(await Promise.all(answers.map(show))).toEqual([
      { a: 1, name: 'n', by: 'ann', isCreated: true },
      { a: 1, b: 2, name: 'n', by: 'cleo', isCreated: false },
      { b: 2, c: 3, name: 'n', by: 'ann', isCreated: false },
      'unknown_object',
      { f: 6, name: null, by: 'ann', isCreated: false },
      'conflict',
      { h: 8, name: null, by: 'ann', isCreated: true },
    ]);
  });

  it('names no seq of another write: a condition on it fails if another write came later', async () => {
    const { address, write, enqueue, drainOnce } = await holdDrains();
    const mine = await write(x('put', { mine: 1 }));
    await enqueue(x('put', { theirs: 1 }));
    await drainOnce();
    const outcome = await mine();
    const { spaceLog, options } = openSpaceLog(rig, openDrain(rig).drain);
    const again = await spaceLog.commit(
      { ...address, actor: null },
      [x('put', { mine: 2 }, { ifSeq: [outcome.seq] })],
      options(),
    );
    expect(again).toMatchObject({ results: [{ status: 'conflict' }] });
    expect((await rig.store.loadObjects(address, ['x']))[0]?.properties).toEqual({ theirs: 1 });
  });

  it('is correct next to a write that Postgres cannot store', async () => {
    const { write, enqueue, drainOnce } = await holdDrains();
    const first = await write(x('put', { a: LONG }));
    const rejected = await write(x('patch', { b: LONG }));
    await enqueue(x('patch', { a: null }));
    const last = await write(x('patch', { b: 'short' }));
    await drainOnce();
    expect([await show(first), await show(rejected), await show(last)]).toMatchObject([
      { a: LONG, isCreated: true },
      'rejected',
      { b: 'short' },
    ]);
    expect(await show(last)).not.toHaveProperty('a');
  });

  it('takes more batches if many writes follow it, and the last batch is applied as a whole', async () => {
    const { address, batches, write, drainOnce } = await holdDrains();
    const answer = await write(x('put', { n: 0 }));
    const entries = Array.from({ length: 200 }, (_, i) => ({
      ops: JSON.stringify([x('patch', { n: i + 1 })]),
      count: 1,
    }));
    const unlimited = { idempotency: null, budget: null, backlog: NO_LIMITS, opened: null };
    await rig.log.append(address, { actor: null, entries, waits: false, ...unlimited });
    await drainOnce();
    expect(await show(answer)).toMatchObject({ n: 0 });
    expect(batches).toHaveLength(2);
    expect(batches).toMatchObject([
      [{}, { objects: [{}], singles: { length: 64 } }],
      [{}, { objects: [{}], singles: [] }],
    ]);
  });

  it.each([
    ['is not stored any more', async () => null],
    ['cannot be read', async () => Promise.reject(new AppError('store_unavailable', 'away'))],
  ])('is `queued`, without the object, if the object %s', async (_, readWritten) => {
    const address = await makeSpace(rig);
    const store: DrainStore = { ...rig.store, readWritten };
    const { spaceLog, options, settle } = openSpaceLog(rig, openDrain(rig).drain, { store });
    const request = { ...options(), returnsObject: true };
    const answer = await spaceLog.commit({ ...address, actor: null }, [x('put')], request);
    expect(answer).toEqual({ status: 'queued', seq: expect.any(Number), accepted: 1 });
    await settle();
    await expectDrained(rig, address);
  });
});

describe('objects stored for answers', () => {
  const count = async (address: LogAddress) =>
    (await queryAs({ address }, 'select from written_objects')).length;

  it('are only stored if their callers asked for them and still wait', async () => {
    const { address, batches, write, enqueue, letGo } = await holdDrains();
    await enqueue(x('put'));
    await write(x('patch', { late: 1 }));
    // As if a minute had passed in the log before the next write.
    const [meta] = (await rig.admin.command('KEYS', `wk:{${address.tenantId}!main}:meta`)) as string[];
    const { last } = await rig.log.readBacklog(address);
    await rig.admin.command('HSET', meta ?? '', 'last', String((last ?? 0) + 61_000_000));
    const waits = await write(x('patch', { soon: 1 }));
    await letGo();
    // The jump of the log's end looks like a loss, so a second batch passes over it.
    expect(batches[0]).toMatchObject([{}, { written: [{ id: 'x' }], singles: [] }]);
    expect(await count(address)).toBe(1);
    expect(await show(waits)).toMatchObject({ soon: 1 });
  });

  it('are signed with the pseudonym of a person who is erased', async () => {
    const { address, write, drainOnce } = await holdDrains();
    await write(x('put', {}, {}), 'mia');
    await write(x('patch', {}, {}), 'bob');
    await drainOnce();
    expect(await count(address)).toBe(2);
    await rig.world.eraseUser(address.tenantId, 'mia');
    const signed = await queryAs(
      { address },
      `select c.author_id as created_by, u.author_id as updated_by from written_objects
       left join authors c on c.number = created_by left join authors u on u.number = updated_by order by seq`,
    );
    const pseudonym = expect.stringMatching(/^erased:/);
    expect(signed).toEqual([
      { created_by: pseudonym, updated_by: pseudonym },
      { created_by: pseudonym, updated_by: 'bob' },
    ]);
  });
});
