import { describe, expect, it } from 'vitest';
import { BatchOutcomes } from '../../src/batch-outcomes.ts';
import type { LogAddress } from '../../src/log/space-log.ts';
import { LIMITS } from '../../src/world/limits.ts';
import type { Operation } from '../../src/world/operation.ts';
import { makeSpace, NO_DRAIN, openDrain, openSpaceLog, useRig } from './rig.ts';

const rig = useRig();
const BUDGET = { budgetMs: 60_000 };
const put = (id: string, more: object = {}): Operation => ({ op: 'put', id, ...more });
const patch = (id: string, more: object = {}): Operation => ({ op: 'patch', id, ...more });
const gone = (id: string): Operation => ({ op: 'delete', id });

/** A process that appends and never drains, with the notes that it gets about its own operations. */
function openAppender(address: LogAddress, now = Date.now) {
  const told: string[] = [];
  const outcomes = new BatchOutcomes<{ operation: Operation }>({
    readNoEffects: (spaceId, after) => rig.log.readNoEffects({ ...address, spaceId }, after),
    onNoEffect: ({ operation }, { status }) => {
      told.push(`${operation.op} ${operation.id} ${status}`);
      throw new Error('from the callback of the caller');
    },
    now,
  });
  const { spaceLog, options } = openSpaceLog(rig, NO_DRAIN);
  return {
    told,
    outcomes,
    async append(...operations: Operation[]) {
      const answer = await spaceLog.enqueue({ ...address, actor: null }, operations, options());
      outcomes.follow(
        operations.map((operation) => ({ operation })),
        address.spaceId,
        answer,
      );
    },
  };
}

describe('[D10] a process that appended an operation', () => {
  it('[D10d] is told once that it had no effect, whichever process drained it', async () => {
    const address = await makeSpace(rig);
    const [one, other] = [openAppender(address), openAppender(address)];
    await one.append(put('a'), put('b'));
    await other.append(patch('none'), patch('none', { name: 'n' }), patch('a', { name: 'n' }));
    await one.append(gone('a'), patch('a'), gone('a'), put('a', { name: 'again' }), patch('a'));
    await one.append(put('c', { ifSeq: 7 }), patch('b', { ifSeq: [0, 7] }), patch('b'));
    await one.append({ op: 'user.patch', id: 'nobody' }, { op: 'user.patch', id: 'mia' });
    await other.append(gone('none'), gone('c'), put('c'), patch('c'));
    await one.outcomes.check();
    expect([one.told, other.told]).toEqual([[], []]);
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    for (const { outcomes } of [one, other, one, other]) await outcomes.check();
    expect(one.told).toEqual([
      ...['patch a unknown_object', 'delete a unknown_object'],
      ...['put c conflict', 'patch b conflict', 'user.patch nobody unknown_object'],
    ]);
    expect(other.told).toEqual([
      ...['patch none unknown_object', 'patch none unknown_object'],
      ...['delete none unknown_object', 'delete c unknown_object'],
    ]);
    expect([one.outcomes.count, other.outcomes.count]).toEqual([5, 4]);
  });

  it('[D10b] is not told about operations whose notes in Redis have expired', async () => {
    const address = await makeSpace(rig);
    let nowMs = Date.now();
    const { append, outcomes, told } = openAppender(address, () => nowMs);
    await append(patch('none'));
    nowMs += LIMITS.noEffectsKeptSeconds * 1_000;
    await outcomes.check();
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    await outcomes.check();
    expect(told).toEqual([]);
  });

  it('[D10a] finds it counted once in the deployment, although its drain settles several batches', async () => {
    const address = await makeSpace(rig);
    const { append } = openAppender(address);
    await append(patch('none'));
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    await append(patch('none'), put('x'), patch('x'));
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    await openDrain(rig).drain.drainSpace(address, BUDGET);
    expect(await rig.log.readStats(address.tenantId)).toMatchObject({ noEffect: 2 });
  });
});
