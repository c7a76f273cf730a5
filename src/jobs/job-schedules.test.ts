import { expect, it } from 'vitest';
import { LIMITS } from '../world/limits.ts';
import { type JobSchedules, summarizeJobs } from './job-schedules.ts';
import type { JobRun } from './upkeep-stores.ts';

const NOW_MS = Date.parse('2026-11-28T09:30:00.000Z');
const SCHEDULES: JobSchedules = { drain: '* * * * *', cleanup: '17 * * * *', 'refresh-views': null };

function makeRun(changes: Partial<JobRun>): JobRun {
  const startedAt = '2026-11-28T09:17:00.000Z';
  return { id: 'r', job: 'cleanup', startedAt, endedAt: startedAt, failure: null, counts: {}, ...changes };
}

function summarize(runs: JobRun[], { showsDetails = true, schedules = SCHEDULES } = {}) {
  const jobs = summarizeJobs(runs, schedules, { nowMs: NOW_MS, showsDetails });
  return Object.fromEntries(jobs.map(({ job, ...rest }) => [job, rest]));
}

it('[P3] a job shows its schedule, the next run in UTC, and its runs, newest first', () => {
  const earlier = makeRun({ startedAt: '2026-11-28T08:17:00.000Z', counts: { events: 3 } });
  const { drain, cleanup, 'refresh-views': views } = summarize([earlier, makeRun({})]);
  expect(drain).toEqual({
    schedule: '* * * * *',
    nextRunAt: '2026-11-28T09:31:00.000Z',
    lastRun: null,
    runs: [],
  });
  expect(cleanup?.nextRunAt).toBe('2026-11-28T10:17:00.000Z');
  expect(cleanup?.runs.map(({ counts }) => counts)).toEqual([{}, { events: 3 }]);
  expect(cleanup?.lastRun).toEqual(cleanup?.runs[0]);
  expect(views).toEqual({ schedule: null, nextRunAt: null, lastRun: null, runs: [] });
});

it.each([
  ['*/15 * * * *', '2026-11-28T09:45:00.000Z'],
  ['10/20 * * * *', '2026-11-28T09:50:00.000Z'],
  ['0 0 29 2 *', '2028-02-29T00:00:00.000Z'],
  ['5 4 * * 0', '2026-11-29T04:05:00.000Z'],
  ['5 4 * * 7', '2026-11-29T04:05:00.000Z'],
  ['0 12 1 * 1', '2026-11-30T12:00:00.000Z'],
  ['0 0 30 2 *', null],
])('[P3] the next run of %s is %s', (cron, next) => {
  const { cleanup } = summarize([], { schedules: { ...SCHEDULES, cleanup: cron } });
  expect(cleanup?.nextRunAt).toBe(next);
});

it('[P3a] a run is ok, failed or running; one without an end after an hour has failed', () => {
  const hourMs = LIMITS.jobRunSecondsMax * 1_000;
  const startedAgo = (ms: number) => ({ startedAt: new Date(NOW_MS - ms).toISOString(), endedAt: null });
  const runs = [
    makeRun({}),
    makeRun({ failure: 'internal' }),
    makeRun(startedAgo(hourMs)),
    makeRun(startedAgo(hourMs + 1)),
  ];
  const { cleanup } = summarize(runs);
  const found = cleanup?.runs.map(({ status, endedAt, failure }) => [status, endedAt !== null, failure]);
  expect(found).toEqual(
    expect.arrayContaining([
      ['ok', true, null],
      ['failed', true, 'internal'],
      ['running', false, null],
      ['failed', false, null],
    ]),
  );
});

it('[P3b] without details there are no counts, no failures, and no runs of a job that leaves a row only if there was work', () => {
  const runs = [
    makeRun({ counts: { events: 3 }, failure: 'internal' }),
    makeRun({ job: 'drain', counts: { operations: 5 } }),
  ];
  const { drain, cleanup } = summarize(runs, { showsDetails: false });
  expect([drain?.lastRun, drain?.runs]).toEqual([null, []]);
  expect(cleanup?.runs).toMatchObject([{ status: 'failed', counts: null, failure: null }]);
  expect(summarize(runs).drain?.runs).toHaveLength(1);
});
