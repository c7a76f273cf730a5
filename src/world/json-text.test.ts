import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from './errors.ts';
import { findSyntaxError, parseJsonBytes, parseJsonText } from './json-text.ts';
import { LIMITS } from './limits.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);

function refusal(run: () => unknown): { code: string; path: string; message: string } {
  try {
    run();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { code: error.code, path: error.errors[0]?.path ?? '-', message: error.errors[0]?.message ?? '-' };
  }
  throw new Error('nothing was refused');
}

/** `{"a":[{"b":<json>}]}`: a place with a path to it. */
const at = (json: string) => () => parseJsonBytes(bytesOf(`{"a":[0,{"b":${json}}]}`));

describe('parseJsonBytes', () => {
  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        if (text.includes('__proto__') || text.includes('\\u')) return;
        expect(parseJsonBytes(bytesOf(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  it('skips a byte order mark', () => {
    expect(parseJsonBytes(bytesOf('\ufeff[1]'))).toEqual([1]);
  });

  it.each([
    ['a lone continuation byte', [0x22, 0x80, 0x22]],
    ['a string cut inside a character', [0x22, 0xe2, 0x82]],
    ['UTF-16', [0xff, 0xfe, 0x31, 0x00]],
    ['a surrogate encoded as UTF-8', [0x22, 0xed, 0xa0, 0x80, 0x22]],
  ])('refuses %s as not UTF-8', (_, bytes) => {
    expect(refusal(() => parseJsonBytes(Uint8Array.from(bytes)))).toEqual({
      code: 'malformed_json',
      path: '',
      message: 'is not UTF-8',
    });
  });

  it.each([
    ['', 'is empty'],
    [' \n', 'is empty'],
    ['{"a":1', 'ends too early, at position 6'],
    ['{"a":1,}', 'has a JSON error at position 7'],
    ['[1 2]', 'has a JSON error at position 3'],
    ['nul', 'has a JSON error at position 0'],
    ['"a\nb"', 'has a JSON error at position 2'],
    ['["\\x"]', 'has a JSON error at position 2'],
    ['01', 'has a JSON error at position 1'],
    ['NaN', 'has a JSON error at position 0'],
    ['{} {}', 'has a JSON error at position 3'],
  ])('names the place of the error in %j', (text, message) => {
    expect(refusal(() => parseJsonBytes(bytesOf(text)))).toEqual({
      code: 'malformed_json',
      path: '',
      message,
    });
  });

  it('does not repeat the input in its message', () => {
    const { message } = refusal(() => parseJsonBytes(bytesOf('{"password":"hunter2",,}')));
    expect(message).not.toMatch(/hunter2|password/);
  });

  it.each([
    ['1e400', '/a/1/b', /double/],
    ['-1e400', '/a/1/b', /double/],
    ['[1, 1e999]', '/a/1/b/1', /double/],
    ['"x\\u0000y"', '/a/1/b', /NUL/],
    ['"\\ud800"', '/a/1/b', /surrogate/],
    ['"\\udc00\\ud800"', '/a/1/b', /surrogate/],
    ['{"k\\u0000":1}', '/a/1/b/k\u0000', /name/],
    ['{"\\ud800":1}', '/a/1/b/\ufffd', /name/],
    ['{"__proto__":{"x":1}}', '/a/1/b/__proto__', /reserved/],
    ['{"\\u005f_proto__":1}', '/a/1/b/__proto__', /reserved/],
    ['{"m~n/o":1e400}', '/a/1/b/m~0n~1o', /double/],
  ])('refuses %s with its path', (json, path, message) => {
    const refused = refusal(at(json));
    expect(refused).toMatchObject({ code: 'validation_failed', path });
    expect(refused.message).toMatch(message);
  });

  it('takes text that only looks like a refused value', () => {
    const json = '{"a":"\\\\u0000","b":"__proto__","c":"\\ud83d\\ude00","d":1e308}';
    expect(parseJsonBytes(bytesOf(json))).toEqual({ a: '\\u0000', b: '__proto__', c: '😀', d: 1e308 });
  });

  it.each(['[', '{"a":'])('accepts nesting up to the limit: %s', (opening) => {
    const nest = (depth: number) =>
      opening.repeat(depth - 1) +
      (opening === '[' ? '[]' : '{}') +
      (opening === '[' ? ']' : '}').repeat(depth - 1);
    expect(() => parseJsonText(nest(LIMITS.jsonDepthMax))).not.toThrow();
    expect(refusal(() => parseJsonText(nest(LIMITS.jsonDepthMax + 1)))).toMatchObject({
      code: 'validation_failed',
      message: `must have at most ${LIMITS.jsonDepthMax} levels of nested objects or lists`,
    });
    expect(refusal(() => parseJsonText(nest(200_000))).code).toBe('validation_failed');
    expect(refusal(() => parseJsonText(opening.repeat(200_000))).code).toBe('malformed_json');
  });

  it('cuts a path that is as long as the body', () => {
    const { path } = refusal(() => parseJsonText(`{"${'k'.repeat(10_000)}":1e400}`));
    expect(path.length).toBeLessThan(300);
  });
});

describe('findSyntaxError', () => {
  const punctuation = fc.constantFrom(
    ...[
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '"a"',
      '\\',
      '\\u00',
      '1',
      '-',
      '.5',
      'e3',
      '0',
      'true',
      'nul',
      ' ',
      '\n',
    ],
  );
  const texts = fc.oneof(
    fc.array(punctuation, { maxLength: 12 }).map((parts) => parts.join('')),
    fc
      .tuple(fc.json({ maxDepth: 4 }), fc.nat(), punctuation)
      .map(([json, where, bit]) => json.slice(0, where % (json.length + 1)) + bit),
  );

  it('finds the first error of every text that JSON.parse refuses', () => {
    fc.assert(
      fc.property(texts, (text) => {
        try {
          JSON.parse(text);
          return;
        } catch {
          // Only refused text has an error.
        }
        const found = findSyntaxError(text);
        expect(found).toBeGreaterThanOrEqual(0);
        expect(found).toBeLessThanOrEqual(text.length);
        // The text before the reported place can still become JSON, so the error is not earlier.
        expect(findSyntaxError(text.slice(0, found))).toBe(found);
      }),
      { numRuns: 2_000 },
    );
  });
});
