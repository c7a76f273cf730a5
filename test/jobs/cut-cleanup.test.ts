import { afterAll, beforeAll, expect, it } from 'vitest';
import { type OwnDatabase, openOwnDatabase } from '../own-database.ts';
import { runCutCleanup } from './cut-cleanup.ts';
import { countLooseWorlds, fillTenant, isOld, listRows } from './old-and-new.ts';

let database: OwnDatabase;
beforeAll(async () => {
  database = await openOwnDatabase();
});
afterAll(() => database?.close());

it('[U6] a cleanup that ended at any call, and is run again, leaves what one run leaves', async () => {
  const { postgres, admin } = database;
  const nowMs = Date.now();
  const forgetSpace = async () => undefined;
  const run = (n: number, when: 'before' | 'after') =>
    runCutCleanup(postgres, nowMs, { n, when, forgetSpace });
  // Rows of runs are of this moment, and stay.
  const isCompared = (row: string) => !/^(worlds|job_runs) /.test(row);
  let cuts = 0;
  for (let n = 1; ; n++) {
    await fillTenant(postgres, admin, nowMs);
    const wanted = (await listRows(admin)).filter((row) => isCompared(row) && !isOld(row));
    const { hasEnded } = await run(n, n % 2 === 0 ? 'before' : 'after');
    // A cut may remove any of the old rows, and nothing else.
    const between = (await listRows(admin)).filter((row) => isCompared(row) && !isOld(row));
    expect(between, `after a cut at call ${n}`).toEqual(wanted);
    expect(await run(Number.POSITIVE_INFINITY, 'before')).toMatchObject({ hasEnded: false });
    expect((await listRows(admin)).filter(isCompared), `repeated after call ${n}`).toEqual(wanted);
    expect(await countLooseWorlds(admin)).toBe(0);
    if (!hasEnded) break;
    cuts++;
  }
  expect(cuts).toBeGreaterThan(40);
});
