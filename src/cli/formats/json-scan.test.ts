import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findJsonFault, SCENE_JSON_DEPTH_MAX, toLineAndColumn } from './json-scan.ts';

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Text that is JSON, or nearly. */
const nearlyJson = fc
  .tuple(
    fc.json({ noUnicodeString: false }),
    fc.nat(),
    fc.nat(3),
    fc.constantFrom('', ',', '"', '}', '[', '\\', '0', '\n', 'e'),
  )
  .map(([text, at, drop, put]) => {
    const start = at % (text.length + 1);
    return text.slice(0, start) + put + text.slice(start + drop);
  });

describe('findJsonFault', () => {
  it('agrees with JSON.parse on every text, except for duplicate members', () => {
    fc.assert(
      fc.property(nearlyJson, (text) => {
        const fault = findJsonFault(text);
        // It ends at the first fault, so of the rest of such a text nothing is said.
        if (fault?.message.endsWith('is there twice')) expect(text[fault.at]).toBe('"');
        else expect(fault === null, `${text} → ${fault?.message}`).toBe(parses(text));
      }),
      { numRuns: 5000 },
    );
  });

  it.each([
    ['{"a":1,"b":2,"a":3}', 13, 'the member "a" is there twice'],
    ['{"a":1,"\\u0061":3}', 7, 'the member "a" is there twice'],
    ['[{"a":1},{"a":1}]', null, ''],
    ['{"a":1,}', 7, "a member's name in double quotes is missing here"],
    ['[1 2]', 3, "',' or ']' is missing here"],
    ['{"a" 1}', 5, "':' is missing behind a member's name"],
    ['{"a":nope}', 5, 'this is not a JSON value'],
    ['[1,2', 4, 'the JSON ends too early'],
    ['"half', 0, 'a string begins here and does not end'],
    ['"\\x"', 1, 'a string may not hold this character or escape'],
    ['"tail\\\\"', null, ''],
    ['{} {}', 3, 'there is something behind the end of the JSON'],
  ])('%s', (text, at, message) => {
    expect(findJsonFault(text)).toEqual(at === null ? null : { at, message });
  });

  it('refuses nesting that code could not walk', () => {
    const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
    expect(findJsonFault(deep(SCENE_JSON_DEPTH_MAX))).toBeNull();
    expect(findJsonFault(deep(200_000))).toEqual({
      at: SCENE_JSON_DEPTH_MAX,
      message: 'nests deeper than 512 levels',
    });
  });

  it('takes a string of many megabytes', () => {
    expect(findJsonFault(`{"uri":"${'A'.repeat(40_000_000)}"}`)).toBeNull();
  });
});

it('toLineAndColumn counts both from 1', () => {
  const text = 'ab\nc\n\nd';
  expect([0, 1, 3, 6].map((at) => toLineAndColumn(text, at))).toEqual([
    { line: 1, column: 1 },
    { line: 1, column: 2 },
    { line: 2, column: 1 },
    { line: 4, column: 1 },
  ]);
});
