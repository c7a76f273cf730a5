import { expect, it } from 'vitest';
import { countOf, showCount } from './counts.ts';

it.each<[number, string, string]>([
  [0, 'object', '0 objects'],
  [1, 'object', '1 object'],
  [2, 'object', '2 objects'],
  [1, 'mesh', '1 mesh'],
  [2, 'mesh', '2 meshes'],
  [1_234_567, 'cached value', '1,234,567 cached values'],
])('%i %s is written as %s', (count, singular, text) => {
  expect(countOf(count, singular)).toBe(text);
});

it('a count has a comma after each three digits', () => {
  expect(showCount(1_234_567)).toBe('1,234,567');
});
