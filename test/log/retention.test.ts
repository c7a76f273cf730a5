import pg from 'pg';
import { expect, it } from 'vitest';
import type { DrainStore, LogAddress } from '../../src/log/log-stores.ts';
import { queryAs } from '../log-space.ts';
import { stack } from '../support.ts';
import { makeSpace, openDrain, openSpaceLog, useRig, wrapStore } from './rig.ts';

const rig = useRig();
const BUDGET = { budgetMs: 60_000 };
const HALF = 'x'.repeat(40_000);
const TABLES = ['write_results', 'dead_letters', 'incidents'] as const;

/** A space with a result and a dead letter of a rejected write. */
async function makeRecords(): Promise<LogAddress> {
  const address = await makeSpace(rig);
  const { drain } = openDrain(rig);
  const { spaceLog, options, settle } = openSpaceLog(rig, drain);
  const target = { ...address, actor: null };
  await spaceLog.commit(target, [{ op: 'put', id: 'x', properties: { first: HALF } }], options());
  await spaceLog.commit(target, [{ op: 'patch', id: 'x', properties: { second: HALF } }], options());
  await settle();
  return address;
}

/** Changes their times, as if they had been written so long ago. */
async function age({ tenantId }: LogAddress, table: (typeof TABLES)[number], interval: string) {
  const { superuserUrl, databaseUrl } = stack();
  const owner = new pg.Client({
    connectionString: superuserUrl.replace(/[^/]*$/, new URL(databaseUrl).pathname.slice(1)),
  });
  await owner.connect();
  try {
    const sql = `update ${table} set created_at = now() - $2::interval where tenant_id = $1`;
    await owner.query(sql, [tenantId, interval]);
  } finally {
    await owner.end();
  }
}

const count = async (address: LogAddress, table: (typeof TABLES)[number]) =>
  (await queryAs({ address }, `select from ${table}`)).length;

it('a sweep removes results and dead letters after their time, at most every ten minutes', async () => {
  const address = await makeRecords();
  expect(await count(address, 'write_results')).toBe(2);
  expect(await count(address, 'dead_letters')).toBe(1);
  // Sweeps of other tests remove records too, after other times. So this test looks at the calls of its own drain.
  const retentions: unknown[] = [];
  const store: DrainStore = {
    ...rig.store,
    sweepAllRecords: (retention) => {
      retentions.push(retention);
      return rig.store.sweepAllRecords(retention);
    },
  };
  let nowMs = Date.now();
  const { drain } = openDrain(rig, { store }, () => nowMs);
  await drain.sweep(BUDGET);
  expect(retentions).toEqual([{ resultsSeconds: 86_400, deadLetterDays: 30 }]);
  await age(address, 'write_results', '25 hours');
  await age(address, 'dead_letters', '31 days');
  nowMs += 599_000;
  await drain.sweep(BUDGET);
  expect(retentions).toHaveLength(1);
  nowMs += 1_000;
  await drain.sweep(BUDGET);
  expect(retentions).toHaveLength(2);
  expect([await count(address, 'write_results'), await count(address, 'dead_letters')]).toEqual([0, 0]);
});

it('a sweep still drains if it cannot remove old records, and reports that', async () => {
  const address = await makeRecords();
  await openSpaceLog(rig, openDrain(rig).drain).spaceLog.enqueue(
    { ...address, actor: null },
    [{ op: 'put', id: 'y' }],
    { principal: null, defer: () => undefined },
  );
  const failure = new Error('away');
  const store = wrapStore<DrainStore>(rig.store, async (method, call) => {
    if (method === 'sweepAllRecords') throw failure;
    return call();
  });
  const { drain, told } = openDrain(rig, { store });
  expect(await drain.sweep(BUDGET)).toMatchObject({ left: 0 });
  expect(told).toEqual([{ event: 'records_sweep_failed', address: null, cause: failure }]);
  expect(await rig.store.loadObjects(address, ['y'])).toHaveLength(1);
});
