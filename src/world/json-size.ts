import type { JsonValue } from './types.ts';

const encoder = new TextEncoder();

/** Characters that `escape_json` of Postgres makes longer: control characters, the quote and the backslash. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that Postgres escapes
const ESCAPED = /[\u0000-\u001f"\\]/g;
const SHORT_ESCAPES = '\b\f\n\r\t"\\';

/** @returns bytes of a string as jsonb prints it, quotes included. */
function printedStringBytes(text: string): number {
  // Most strings are ASCII without escapes: one pass counts them without an allocation.
  let plain = true;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) {
      plain = false;
      break;
    }
  }
  if (plain) return text.length + 2;
  let bytes = encoder.encode(text).length + 2;
  for (const match of text.matchAll(ESCAPED)) bytes += SHORT_ESCAPES.includes(match[0]) ? 1 : 5;
  return bytes;
}

/** @returns bytes of a number as `numeric` prints it: no exponent, so 1e308 is 309 digits. */
function printedNumberBytes(value: number): number {
  const text = String(Object.is(value, -0) ? 0 : value);
  const at = text.indexOf('e');
  if (at < 0) return text.length;
  const sign = text.startsWith('-') ? 1 : 0;
  const mantissa = text.slice(sign, at);
  const exponent = Number(text.slice(at + 1));
  const fraction = mantissa.includes('.') ? mantissa.length - mantissa.indexOf('.') - 1 : 0;
  const digits = mantissa.replace('.', '').length;
  if (exponent < 0) return sign + 2 + -exponent - 1 + digits;
  // A float with an exponent has at most 17 digits and an exponent of at least 21: no digits after the point.
  return sign + digits + exponent - fraction;
}

/**
 * Bytes that Postgres prints for a jsonb value (`octet_length(value::text)`): with `, ` and `: `, numbers written out.
 * Above `bytesMax` it stops: the result is then only a number above `bytesMax`. The caller must have checked the depth,
 * which limits the recursion.
 */
export function countPrintedBytes(value: JsonValue, bytesMax = Number.POSITIVE_INFINITY): number {
  if (value === null) return 4;
  if (typeof value === 'boolean') return value ? 4 : 5;
  if (typeof value === 'string') return printedStringBytes(value);
  if (typeof value === 'number') return printedNumberBytes(value);
  let bytes = 2;
  let items = 0;
  if (Array.isArray(value)) {
    for (const item of value) {
      bytes += countPrintedBytes(item, bytesMax - bytes) + (items++ > 0 ? 2 : 0);
      if (bytes > bytesMax) return bytes;
    }
    return bytes;
  }
  for (const key in value) {
    bytes += printedStringBytes(key) + 2 + countPrintedBytes(value[key] as JsonValue, bytesMax - bytes);
    if (items++ > 0) bytes += 2;
    if (bytes > bytesMax) return bytes;
  }
  return bytes;
}

/** @returns levels of nesting: a scalar is 0, `{}` and `[]` are 1. Stops at `depthMax + 1`, so no input overflows the stack. */
export function measureDepth(value: JsonValue, depthMax: number): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (depthMax === 0) return 1;
  let deepest = 0;
  for (const item of Array.isArray(value) ? value : Object.values(value)) {
    deepest = Math.max(deepest, measureDepth(item, depthMax - 1));
    if (deepest >= depthMax) break;
  }
  return 1 + deepest;
}

/**
 * Finds a value that jsonb cannot store: a number that is not finite, or text with NUL or a lone surrogate, in keys
 * too. A value that is not JSON counts as well. @returns a sentence about the first such value, or null. Depth must
 * have been checked before.
 */
export function findUnkeepable(value: unknown): string | null {
  if (value === null || typeof value === 'boolean') return null;
  if (typeof value === 'number') return Number.isFinite(value) ? null : 'must contain only finite numbers';
  if (typeof value === 'string')
    return value.isWellFormed() && !value.includes('\0')
      ? null
      : 'must not contain a NUL character or a broken Unicode character (lone surrogate)';
  if (typeof value !== 'object') return `must contain only JSON values, not a value of type ${typeof value}`;
  if (Array.isArray(value)) {
    for (const item of value) {
      const problem = findUnkeepable(item);
      if (problem !== null) return problem;
    }
    return null;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    return 'must contain only plain JSON objects, not an instance of a class';
  for (const [key, item] of Object.entries(value)) {
    if (key === '__proto__') return 'must not have a member named __proto__';
    const problem = findUnkeepable(key) ?? findUnkeepable(item);
    if (problem !== null) return problem;
  }
  return null;
}
