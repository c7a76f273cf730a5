import { expect, it } from 'vitest';
import { judgeClock } from './finding.ts';

it.each([
  [0, 2, 'ok'],
  [999, 0, 'ok'],
  [-1_400, 1_000, 'ok'],
  [1_600, 1_000, 'wrong'],
  [-86_400_000, 20, 'wrong'],
])('a clock at %i ms after a round trip of %i ms is %s', (clockDifferenceMs, roundTripMs, status) => {
  const finding = judgeClock('redis.clock', 'Redis', { clockDifferenceMs, roundTripMs });
  expect(finding.status).toBe(status);
  expect(finding.remedy === undefined).toBe(status === 'ok');
});
