import { AppError } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { JsonValue } from './types.ts';

/** Characters of a JSON Pointer in an error. A caller's key may be as long as the body. */
const POINTER_LENGTH_MAX = 256;

/**
 * Reads JSON that a world can keep, from the bytes of a body or a file. It skips a byte order mark at the start.
 * @throws malformed_json if the bytes are not UTF-8 or not JSON, with the position in characters.
 * @throws validation_failed with a JSON Pointer, for JSON that a world cannot keep: numbers too large for a double,
 * NUL and lone surrogates in text and keys, a member named `__proto__`, nesting deeper than `LIMITS.jsonDepthMax`.
 */
export function parseJsonBytes(bytes: Uint8Array): JsonValue {
  let text: string;
  try {
    // In one piece: a streaming decoder stores every character in two bytes, and takes five times as long.
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw malformed('is not UTF-8', cause);
  }
  return parseJsonText(text);
}

/** The same as `parseJsonBytes`, for decoded text. */
export function parseJsonText(text: string): JsonValue {
  let value: JsonValue;
  try {
    value = JSON.parse(text);
  } catch {
    // The engine's own message quotes the input. No response or log may contain that.
    throw describeSyntax(text);
  }
  // In text decoded from UTF-8, only an escape can give NUL or a lone surrogate. Most bodies have no escape.
  const plain = !text.includes('\\u') && !text.includes('__proto__') && text.isWellFormed();
  if (plain && isKeepable(value, LIMITS.jsonDepthMax)) return value;
  refuseUnkeepable(value);
  return value;
}

/** For a value that did not come from text. @throws validation_failed as `parseJsonBytes` does. */
export function refuseUnkeepable(value: JsonValue): void {
  const fault = findFault(value, 1);
  if (fault === null) return;
  throw new AppError('validation_failed', 'The input is not valid.', {
    errors: [{ path: toShortPointer(fault.path), message: fault.message }],
  });
}

/**
 * Whether all numbers are finite and the nesting is within `depthMax`. `findFault` checks all rules, and names the
 * place. Measured: 60 ms for 34 MB in 100,000 objects; `JSON.parse` takes 350 ms, `findFault` 400 ms.
 */
function isKeepable(value: JsonValue, depthMax: number): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  if (depthMax === 0) return false;
  if (Array.isArray(value)) {
    for (const item of value) {
      if (typeof item === 'number') {
        if (!Number.isFinite(item)) return false;
      } else if (typeof item === 'object' && !isKeepable(item, depthMax - 1)) return false;
    }
    return true;
  }
  for (const key in value) {
    const item = value[key] as JsonValue;
    if (typeof item === 'number') {
      if (!Number.isFinite(item)) return false;
    } else if (typeof item === 'object' && !isKeepable(item, depthMax - 1)) return false;
  }
  return true;
}

interface Fault {
  path: (string | number)[];
  message: string;
}

/** The first part of a value that a world cannot keep. Recursion stops at the depth limit. */
function findFault(value: JsonValue, depth: number): Fault | null {
  if (typeof value === 'number')
    return Number.isFinite(value)
      ? null
      : { path: [], message: 'must be a number in the range of a 64-bit float (double)' };
  if (typeof value === 'string')
    return isText(value)
      ? null
      : {
          path: [],
          message: 'must not contain a NUL character or a broken Unicode character (lone surrogate)',
        };
  if (typeof value !== 'object' || value === null) return null;
  if (depth > LIMITS.jsonDepthMax)
    return {
      path: [],
      message: `must have at most ${LIMITS.jsonDepthMax} levels of nested objects or lists`,
    };
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const fault = findFault(item, depth + 1);
      if (fault !== null) return within(fault, index);
    }
    return null;
  }
  for (const key in value) {
    if (key === '__proto__')
      return { path: [key], message: 'must not be a field name: the name is reserved' };
    if (!isText(key))
      return {
        path: [key],
        message: 'must not have a NUL character or a broken Unicode character (lone surrogate) in its name',
      };
    const fault = findFault(value[key] as JsonValue, depth + 1);
    if (fault !== null) return within(fault, key);
  }
  return null;
}

function within(fault: Fault, key: string | number): Fault {
  fault.path.unshift(key);
  return fault;
}

function isText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

function toShortPointer(path: readonly (string | number)[]): string {
  const pointer = path
    .map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('')
    .toWellFormed();
  return pointer.length > POINTER_LENGTH_MAX ? `${pointer.slice(0, POINTER_LENGTH_MAX)}…` : pointer;
}

function malformed(message: string, cause?: unknown): AppError {
  return new AppError('malformed_json', 'The server cannot read the body as JSON.', {
    cause,
    errors: [{ path: '', message }],
  });
}

function describeSyntax(text: string): AppError {
  if (/^[ \t\n\r]*$/.test(text)) return malformed('is empty');
  const at = findSyntaxError(text);
  return malformed(
    at >= text.length ? `ends too early, at position ${at}` : `has a JSON error at position ${at}`,
  );
}

const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON text must not hold these
const PLAIN_TEXT = /[^"\\\u0000-\u001f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** The end of the match of `pattern` (sticky) at a position, or -1. */
function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : -1;
}

/** @returns the end of the string that begins at `at`; for an error at position p, `-p - 1`. */
function scanString(text: string, at: number): number {
  let end = matchEnd(PLAIN_TEXT, text, at + 1);
  while (text[end] === '\\') {
    const escapeEnd = matchEnd(ESCAPE, text, end);
    if (escapeEnd < 0) return -end - 1;
    end = matchEnd(PLAIN_TEXT, text, escapeEnd);
  }
  return text[end] === '"' ? end + 1 : -end - 1;
}

/** The token that may come next. `first-…` may also be the end of its list. */
type Expected = 'value' | 'first-value' | 'key' | 'first-key' | 'colon' | 'comma';

/** @returns the position of the first invalid character; the length, if the text only ends too early. */
export function findSyntaxError(text: string): number {
  const open: ('{' | '[')[] = [];
  let expected: Expected = 'value';
  let at = 0;
  for (; at < text.length; ) {
    const char = text[at] ?? '';
    if (char === ' ' || char === '\n' || char === '\r' || char === '\t') {
      at++;
      continue;
    }
    const inside = open.at(-1);
    const mayClose = expected === 'comma' || expected === 'first-key' || expected === 'first-value';
    if (mayClose && inside !== undefined && char === (inside === '{' ? '}' : ']')) {
      open.pop();
      expected = 'comma';
      at++;
    } else if (expected === 'comma') {
      if (char !== ',' || inside === undefined) return at;
      expected = inside === '{' ? 'key' : 'value';
      at++;
    } else if (expected === 'colon') {
      if (char !== ':') return at;
      expected = 'value';
      at++;
    } else if (expected === 'key' || expected === 'first-key') {
      if (char !== '"') return at;
      const end = scanString(text, at);
      if (end < 0) return -end - 1;
      expected = 'colon';
      at = end;
    } else if (char === '{' || char === '[') {
      // No input may be deeper. To find an error beyond that depth is not worth the memory.
      if (open.push(char) > LIMITS.jsonDepthMax) return at;
      expected = char === '{' ? 'first-key' : 'first-value';
      at++;
    } else {
      const end = char === '"' ? scanString(text, at) : matchEnd(SCALAR, text, at);
      if (end < 0) return char === '"' ? -end - 1 : at;
      expected = 'comma';
      at = end;
    }
  }
  return at;
}
