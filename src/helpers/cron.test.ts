import { Cron } from 'croner';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { findNextTime } from './cron.ts';

const field = (min: number, max: number) => {
  const number = fc.integer({ min, max });
  const step = fc.option(fc.integer({ min: 1, max }), { nil: null });
  const part = fc
    .tuple(fc.constantFrom('any', 'one', 'range'), number, number, step)
    .map(([kind, a, b, step]) => {
      const range = kind === 'any' ? '*' : kind === 'one' ? `${a}` : `${Math.min(a, b)}-${Math.max(a, b)}`;
      return step === null ? range : `${range}/${step}`;
    });
  return fc.oneof(
    fc.constant('*'),
    fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(',')),
  );
};
const cron = fc
  .tuple(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7))
  .map((fields) => fields.join(' '));

it('finds the time that croner finds, for any schedule', () => {
  fc.assert(
    fc.property(cron, fc.integer({ min: 1_600_000_000_000, max: 4_000_000_000_000 }), (schedule, atMs) => {
      const options = { timezone: 'UTC', mode: '5-part', sloppyRanges: true } as const;
      const next = new Cron(schedule, options).nextRun(new Date(atMs));
      expect([schedule, findNextTime(schedule, atMs)]).toEqual([schedule, next?.getTime() ?? null]);
    }),
    { numRuns: 500 },
  );
});

it('a time is after the given one, and never the same', () => {
  const noon = Date.parse('2026-11-28T12:00:00.000Z');
  expect(findNextTime('* * * * *', noon)).toBe(noon + 60_000);
  expect(findNextTime('* * * * *', noon - 1)).toBe(noon);
  expect(findNextTime('0 12 * * *', noon)).toBe(noon + 86_400_000);
});

it('the 29th of February is found over a year without it, and the 30th is never found', () => {
  const leap = Date.parse('2096-03-01T00:00:00.000Z');
  expect(new Date(findNextTime('0 0 29 2 *', leap) ?? 0).toISOString()).toBe('2104-02-29T00:00:00.000Z');
  expect(findNextTime('0 0 30 2 *', leap)).toBeNull();
});
