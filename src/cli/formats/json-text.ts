import { findJsonFault, toLineAndColumn } from './json-scan.ts';
import { SceneError } from './scene.ts';

/**
 * @returns the value of a JSON text, a byte order mark in front allowed.
 * @throws SceneError with the line and column where it is not UTF-8, not JSON, or holds a member twice.
 */
export function parseJsonBytes(bytes: Uint8Array, file: string): unknown {
  const text = decodeUtf8(bytes, file);
  if (text.trim() === '') throw new SceneError(file, null, 'holds nothing but white space');
  const fault = findJsonFault(text);
  if (fault !== null) {
    const { line, column } = toLineAndColumn(text, fault.at);
    throw new SceneError(file, null, `is not valid JSON: line ${line}, column ${column}: ${fault.message}`);
  }
  return JSON.parse(text);
}

function decodeUtf8(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const at = findInvalidByte(bytes);
    const hex = (bytes[at] ?? 0).toString(16).padStart(2, '0');
    throw new SceneError(file, null, `is not UTF-8 text: byte ${at + 1} (0x${hex}) begins no character`);
  }
}

/** @returns the index of the byte at which the first thing begins that is no character. */
function findInvalidByte(bytes: Uint8Array): number {
  const decodes = (length: number, stream: boolean) => {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length), { stream });
      return true;
    } catch {
      return false;
    }
  };
  let good = 0;
  let bad = bytes.length + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    // As a stream a character cut off at the end is no error, so longer prefixes only ever get worse.
    if (decodes(middle, true)) good = middle;
    else bad = middle;
  }
  while (good > 0 && !decodes(good, false)) good--;
  return good;
}

export type Members = Record<string, unknown>;

/** Whether a JSON value is an object, as against an array, null or a scalar. */
export function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value as messages show it: short, and never a whole document. */
export function showValue(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
