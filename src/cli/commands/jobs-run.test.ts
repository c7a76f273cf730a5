import { afterAll, beforeAll, expect, it } from 'vitest';
import { addAuditRows, waitForTransactions } from '../../../test/audit-rows.ts';
import { fillTenant } from '../../../test/jobs/old-and-new.ts';
import { type OwnDatabase, openOwnDatabase } from '../../../test/own-database.ts';
import { createUpkeepStore } from '../../postgres/upkeep-store.ts';
import { runHere } from '../testing/run-here.ts';

/** A database of its own: a cleanup is of all tenants. */
let database: OwnDatabase;
let env: Record<string, string>;
beforeAll(async () => {
  database = await openOwnDatabase();
  env = { DATABASE_URL: database.url };
});
afterAll(() => database?.close());

it('cleans up without a Redis and without QStash, and says what went', async () => {
  await fillTenant(database.postgres, database.admin, Date.now());
  const { code, stdout, stderr } = await runHere(['jobs', 'run'], { env });
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^cleanup: eventDaysAdded \d, .*messages 1, .*spaces 1, spaceRows \d+/);
  const again = await runHere(['jobs', 'run', 'cleanup', '--json'], { env });
  expect(JSON.parse(again.stdout)).toEqual({ cleanup: { counts: {}, left: [], failed: [] } });
  expect((await runHere(['jobs', 'run', 'cleanup'], { env })).stdout).toBe(
    'cleanup: nothing was over its time\n',
  );
  const runs = await createUpkeepStore(database.postgres).listRuns(5);
  const cleanups = runs.filter(({ job }) => job === 'cleanup');
  expect(cleanups).toHaveLength(3);
  expect(cleanups.at(-1)).toMatchObject({ failure: null, counts: { messages: 1, spaces: 1 } });
});

it('refreshes the views of analytics, and leaves a row', async () => {
  const { code, stdout } = await runHere(['jobs', 'run', 'refresh-views'], { env });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^refresh-views: .*daily_activity \d+ ms/);
  const runs = await createUpkeepStore(database.postgres).listRuns(5);
  expect(runs.find(({ job }) => job === 'refresh-views')).toMatchObject({ failure: null });
});

it('[Q1] seals the rows of the audit, and leaves a row', async () => {
  await waitForTransactions(database.admin);
  await runHere(['jobs', 'run', 'seal-audit'], { env });
  await addAuditRows(database.admin, 'sealed', { count: 2 });
  await waitForTransactions(database.admin);
  const { code, stdout } = await runHere(['jobs', 'run', 'seal-audit', '--json'], { env });
  expect([code, JSON.parse(stdout)]).toEqual([0, { 'seal-audit': { status: 'done', rows: 2, seals: 1 } }]);
  expect((await runHere(['jobs', 'run', 'seal-audit'], { env })).stdout).toBe(
    'seal-audit: 0 rows in 0 seals\n',
  );
  const runs = await createUpkeepStore(database.postgres).listRuns(5);
  expect(runs.find(({ job }) => job === 'seal-audit')).toMatchObject({ counts: { rows: 2, seals: 1 } });
});

it('exits with 1 and names what is left after an interruption', async () => {
  const stopping = new AbortController();
  stopping.abort();
  const { code, stdout } = await runHere(['jobs', 'run', 'cleanup', '--json'], {
    env,
    signal: stopping.signal,
  });
  expect(code).toBe(1);
  expect(JSON.parse(stdout).cleanup.left).toContain('messages');
});

it('says in one sentence what is wrong', async () => {
  const run = async (args: string[], changes: Record<string, string> = {}) => {
    const { code, stdout, stderr } = await runHere(['jobs', 'run', ...args], { env: { ...env, ...changes } });
    expect(stdout + stderr).not.toContain('hush');
    return [code, stderr.split('\n')[0]];
  };
  expect(await run(['tidy'])).toEqual([2, expect.stringContaining('unknown job: tidy')]);
  expect(await run(['drain'])).toEqual([2, expect.stringContaining('must be set: logs are drained')]);
  expect(await run([], { DATABASE_URL: 'postgresql://me:hush@127.0.0.1:9/db' })).toEqual([
    1,
    expect.stringContaining('cannot be reached at the host and port in DATABASE_URL'),
  ]);
});
