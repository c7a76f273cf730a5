import { describe, expect, it } from 'vitest';
import { buildMergePatch } from './merge-patch.ts';

describe('a merge patch of properties', () => {
  it.each([
    ['nothing', { a: 1 }, { a: 1 }, null],
    ['a new member', { a: 1 }, { a: 1, b: 2 }, { b: 2 }],
    ['a removed member', { a: 1, b: 2 }, { a: 1 }, { b: null }],
    ['a removed member inside another', { a: { x: 1, y: 2 } }, { a: { x: 1 } }, { a: { y: null } }],
    ['a list as a whole', { a: [1, 2] }, { a: [1] }, { a: [1] }],
    ['an object in place of a number', { a: 1 }, { a: { x: 1 } }, { a: { x: 1 } }],
    ['another order of members', { a: 1, b: 2 }, { b: 2, a: 1 }, null],
    ['a member with the name of an inherited one', {}, { constructor: 1 }, { constructor: 1 }],
  ])('has %s', (_, before, after, patch) => {
    expect(buildMergePatch(before, after)).toEqual(patch);
  });

  it.each([
    ['elsewhere stay', { a: 1 }, { a: 2 }, { a: 1, theirs: true }, { a: 2 }],
    ['of the same member stay', { a: 1, b: 1 }, { a: 2, b: 2 }, { a: 9, b: 1 }, { b: 2 }],
    [
      'inside the same member stay',
      { a: { x: 1, y: 1 } },
      { a: { x: 2, y: 1 } },
      { a: { x: 1, y: 9 } },
      { a: { x: 2 } },
    ],
  ])('to undo a step: changes of others %s', (_, before, after, now, patch) => {
    expect(buildMergePatch(before, after, now)).toEqual(patch);
  });
});
