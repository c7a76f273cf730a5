import { describe, expect, it } from 'vitest';
import { AppError } from './errors.ts';
import { OWN_EVENT_TYPES } from './event.ts';
import { checkEvents } from './event-schema.ts';
import { LIMITS } from './limits.ts';

const nowMs = Date.parse('2026-11-01T12:00:00Z');
const author = { spaceId: 'here', userId: 'ann' };
const DAY_MS = 86_400_000;

function refusal(event: unknown, by: typeof author | null = null): [string, string | undefined] {
  try {
    checkEvents({ events: [{ type: 'fine' }, event] }, { nowMs, author: by });
  } catch (error) {
    if (error instanceof AppError) return [error.code, error.errors[0]?.path];
    throw error;
  }
  return ['none', undefined];
}
const at = (ms: number) => ({ type: 'x', at: new Date(nowMs + ms).toISOString() });
const withData = (data: unknown) => ({ type: 'x', data });

describe('[E6] events are checked', () => {
  it.each<[string, unknown, string]>([
    ['no type', {}, '/events/1/type'],
    ['an empty type', { type: '' }, '/events/1/type'],
    ['a type of 65 characters', { type: 'x'.repeat(LIMITS.eventTypeLengthMax + 1) }, '/events/1/type'],
    ['a type in capitals', { type: 'Door' }, '/events/1/type'],
    ['an invalid id', { type: 'x', id: 'a/b' }, '/events/1/id'],
    ['an invalid space', { type: 'x', spaceId: '..' }, '/events/1/spaceId'],
    ['an invalid person', { type: 'x', userId: '' }, '/events/1/userId'],
    ['no time', { type: 'x', at: 'yesterday' }, '/events/1/at'],
    ['an old time', at(-LIMITS.eventAgeDaysMax * DAY_MS - 1), '/events/1/at'],
    ['a time ahead', at(LIMITS.eventAheadSecondsMax * 1_000 + 1), '/events/1/at'],
    ['data that are a list', withData([]), '/events/1/data'],
    ['data that are too large', withData({ x: 'x'.repeat(LIMITS.eventDataBytesMax) }), '/events/1/data'],
    ['data that are large in the database', withData({ x: Array(40).fill(1e308) }), '/events/1/data'],
    ['data that jsonb cannot hold', withData({ x: 'a\0' }), '/events/1/data'],
    ['an unknown member', { type: 'x', name: 'y' }, '/events/1/name'],
  ])('%s is refused', (_, event, path) => {
    expect(refusal(event)).toEqual(['validation_failed', path]);
  });

  it('limits are inclusive', () => {
    const events = [
      at(-LIMITS.eventAgeDaysMax * DAY_MS),
      at(LIMITS.eventAheadSecondsMax * 1_000),
      { type: 'x'.repeat(LIMITS.eventTypeLengthMax), id: 'a', spaceId: null, userId: null, data: {} },
      withData({ x: 'x'.repeat(LIMITS.eventDataBytesMax - 9) }),
    ];
    expect(checkEvents({ events }, { nowMs })).toEqual(events);
  });

  it('a request has 1 to 1,000 events', () => {
    const check = (count: number) =>
      checkEvents({ events: Array.from({ length: count }, () => ({ type: 'x' })) }, { nowMs });
    expect(check(LIMITS.eventsPerRequestMax)).toHaveLength(1_000);
    expect(() => check(LIMITS.eventsPerRequestMax + 1)).toThrow(AppError);
    expect(() => check(0)).toThrow(AppError);
  });

  it('[E6b] a session names only itself, and no type of the server', () => {
    expect(checkEvents({ events: [{ type: 'x' }] }, { nowMs, author })).toEqual([{ type: 'x', ...author }]);
    expect(refusal({ type: 'x', ...author }, author)).toEqual(['none', undefined]);
    expect(refusal({ type: 'x', userId: 'bob' }, author)).toEqual(['forbidden', '/events/1/userId']);
    expect(refusal({ type: 'x', spaceId: 'there' }, author)).toEqual(['forbidden', '/events/1/spaceId']);
    for (const type of OWN_EVENT_TYPES) {
      expect(refusal({ type }, author)).toEqual(['validation_failed', '/events/1/type']);
      expect(refusal({ type })).toEqual(['none', undefined]);
    }
  });
});
