import { afterAll, beforeAll, expect, it } from 'vitest';
import { type OwnDatabase, openOwnDatabase } from '../../test/own-database.ts';
import { uniqueName } from '../../test/support.ts';
import { createUpkeepStore } from '../postgres/upkeep-store.ts';
import { AppError } from '../world/errors.ts';
import { JobRuns } from './job-runs.ts';

let database: OwnDatabase;
beforeAll(async () => {
  database = await openOwnDatabase();
});
afterAll(() => database?.close());

function open() {
  let nowMs = Date.parse('2030-01-01T00:00:00.000Z');
  const now = () => {
    nowMs += 1_000;
    return nowMs;
  };
  return new JobRuns(createUpkeepStore(database.postgres), { now, createId: () => uniqueName('run') });
}

it('[U5] each run leaves a row with its times, counts and failure', async () => {
  const runs = open();
  const away = new AppError('store_unavailable', 'Postgres does not answer.');
  let during: unknown;
  await runs.run('cleanup', async () => {
    [during] = await runs.list(1);
    return { counts: { messages: 3 } };
  });
  expect(during).toMatchObject({ job: 'cleanup', endedAt: null, failure: null, counts: {} });
  const partly = await runs.run('refresh-views', async () => ({ counts: { views: 1 }, failure: away }));
  expect(partly.failure).toBe(away);
  await expect(
    runs.run('refresh-views', async () => {
      throw new Error('a bug');
    }),
  ).rejects.toThrow('a bug');
  expect(await runs.list(5)).toMatchObject([
    { job: 'refresh-views', failure: 'internal', counts: {} },
    { job: 'refresh-views', failure: 'store_unavailable', counts: { views: 1 } },
    {
      job: 'cleanup',
      startedAt: '2030-01-01T00:00:01.000Z',
      endedAt: '2030-01-01T00:00:02.000Z',
      failure: null,
      counts: { messages: 3 },
    },
  ]);
});

it('[U5a] a drain that found nothing leaves none, and no drain fails because its row does', async () => {
  const runs = open();
  const causes: unknown[] = [];
  const often = (counts: Record<string, number>, by = runs) =>
    by.runOften(
      'drain',
      async () => ({ counts }),
      (cause) => void causes.push(cause),
    );
  await often({ spaces: 0, left: 0 });
  await often({ spaces: 2, left: 0 });
  expect((await runs.list(5)).filter(({ job }) => job === 'drain')).toMatchObject([
    { counts: { spaces: 2, left: 0 } },
  ]);
  const failure = new Error('away');
  const broken = new JobRuns(
    { ...createUpkeepStore(database.postgres), startRun: () => Promise.reject(failure) },
    { now: Date.now, createId: () => uniqueName('run') },
  );
  expect(await often({ spaces: 1 }, broken)).toEqual({ counts: { spaces: 1 } });
  expect(causes).toEqual([failure]);
});
