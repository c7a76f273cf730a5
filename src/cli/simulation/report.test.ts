import { expect, it } from 'vitest';
import { printReport, type Report } from './report.ts';

const REPORT: Report = {
  run: '1a2b3c4d',
  space: 'main',
  users: 200,
  hz: 10,
  seconds: 60,
  credentials: 'session',
  moves: { planned: 120_000, made: 119_998, late: { p50Ms: 2.34, p99Ms: 12.6 } },
  operations: { sent: 60_000, acknowledged: 59_999, refused: 1 },
  seen: { watchers: 5, updates: 298_500, latency: { p50Ms: 9.96, p99Ms: 1_234.5 } },
  lost: { objects: 0, first: [] },
  errors: {},
  reconnects: 0,
  leftBehind: { objects: 0, users: 0 },
};

it('prints a table', () => {
  expect(printReport(REPORT).split('\n')).toEqual([
    '200 users in space main, each with a session: 10 moves per second for 60 s',
    'moves made              119,998 of 120,000',
    '  late in this process  p50 2.3 ms, p99 13 ms',
    'operations sent         60,000 after merging',
    '  acknowledged          59,999',
    '  refused               1',
    'updates seen by others  298,500 in 5 clients',
    '  after the call        p50 10 ms, p99 1,235 ms',
    'lost                    0 of 200 objects',
    'errors                  0',
    'reconnects              0',
  ]);
});

it('names losses, errors by code, and things that could not be deleted', () => {
  const text = printReport({
    ...REPORT,
    users: 1,
    hz: 1,
    credentials: 'key',
    seen: { watchers: 1, updates: 0, latency: null },
    lost: {
      objects: 2,
      first: [
        { id: 'sim-a-0', missingIn: 'state' },
        { id: 'sim-a-1', missingIn: 'clients' },
      ],
    },
    errors: { rate_limited: 1_200, unreachable: 1 },
    reconnects: 3,
    leftBehind: { objects: 1, users: 2 },
  });
  for (const line of [
    '1 user in space main, all with the API key: 1 move per second for 60 s',
    'updates seen by others  0 in 1 client',
    '  after the call        not measured',
    'lost                    2 of 1 object',
    'errors                  1,201: rate_limited 1,200, unreachable 1',
    'reconnects              3',
    'left behind             1 object, 2 users',
    'lost: sim-a-0 is not in the state of the server',
    'lost: sim-a-1 is not shown by every watching client',
  ])
    expect(text.split('\n')).toContain(line);
});
