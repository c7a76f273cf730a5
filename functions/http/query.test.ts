import { expect, it } from 'vitest';
import { readFlagParameter } from './query.ts';

it.each([
  ['true', true],
  ['false', false],
  [undefined, false],
])('reads the flag %s', (text, expected) => {
  expect(readFlagParameter('committed', text)).toBe(expected);
});

it.each(['', '1', '0', 'yes', 'TRUE', ' true', 'true,false'])('refuses the flag "%s"', (text) => {
  expect(() => readFlagParameter('committed', text)).toThrow(
    expect.objectContaining({
      code: 'validation_failed',
      errors: [{ path: '/committed', message: 'must be "true" or "false"' }],
    }),
  );
});
