import { AppError } from './errors.ts';
import { parseJsonText } from './json-text.ts';
import { LIMITS } from './limits.ts';
import type { JsonValue } from './types.ts';

/** One line of NDJSON. Lines are counted from 1, empty ones too, as an editor does. */
export interface JsonLine {
  line: number;
  value: JsonValue;
  /** Characters of the line's text. */
  length: number;
}

const NEWLINE = 0x0a;
const encoder = new TextEncoder();

/**
 * Reads NDJSON in pieces. Complete lines are returned immediately, and at most one line is kept for the next piece.
 * It skips empty lines, and the last line needs no line end.
 * @throws malformed_json, validation_failed with a path like `/17/position/x`: the line, then the JSON Pointer in it;
 * body_too_large for a line above `LIMITS.stateLineBytesMax`.
 */
export async function* parseNdjson(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<JsonLine[]> {
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  let line = 1;
  for await (const piece of pieces) {
    const end = piece.lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      const block = join([...rest, piece.subarray(0, end)], restBytes + end);
      const lines = parseBlock(block, line);
      rest = [];
      restBytes = 0;
      line = lines.next;
      if (lines.parsed.length > 0) yield lines.parsed;
    }
    if (end < piece.length) {
      // A copy: the source may reuse the buffer of the piece.
      rest.push(piece.slice(end));
      restBytes += piece.length - end;
    }
    if (restBytes > LIMITS.stateLineBytesMax) throw tooLong(line);
  }
  const { parsed } = parseBlock(join(rest, restBytes), line);
  if (parsed.length > 0) yield parsed;
}

/** Turns an `AppError` about a value into one about its line. */
export function atLine(error: unknown, line: number): unknown {
  if (!(error instanceof AppError) || error.errors.length === 0) return error;
  return new AppError(error.code, error.message, {
    cause: error.cause,
    errors: error.errors.map(({ path, message }) => ({ path: `/${line}${path}`, message })),
  });
}

function join(parts: Uint8Array[], bytes: number): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const joined = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function parseBlock(block: Uint8Array, first: number): { parsed: JsonLine[]; next: number } {
  const parsed: JsonLine[] = [];
  const texts = decode(block, first).split('\n');
  for (const [index, text] of texts.entries()) {
    const line = first + index;
    // Counts bytes only if the line could exceed the limit: most lines are far below it.
    if (text.length * 3 > LIMITS.stateLineBytesMax && encoder.encode(text).length > LIMITS.stateLineBytesMax)
      throw tooLong(line);
    if (/^[ \t\r]*$/.test(text)) continue;
    try {
      parsed.push({ line, value: parseJsonText(text), length: text.length });
    } catch (error) {
      throw atLine(error, line);
    }
  }
  // The rest after the last line end is empty, or the last line.
  return { parsed, next: first + texts.length - 1 };
}

/** Decodes many lines in one call: line by line takes several times as long. */
function decode(block: Uint8Array, first: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: first > 1 }).decode(block);
  } catch (cause) {
    throw new AppError('malformed_json', 'The server cannot read the body as JSON.', {
      cause,
      errors: [{ path: `/${first + countLinesBefore(block)}`, message: 'is not UTF-8' }],
    });
  }
}

/** @returns the number of whole lines of a block before the first that is not UTF-8. */
function countLinesBefore(block: Uint8Array): number {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let lines = 0;
  for (let start = 0; ; lines++) {
    const end = block.indexOf(NEWLINE, start);
    try {
      decoder.decode(block.subarray(start, end < 0 ? block.length : end));
    } catch {
      return lines;
    }
    if (end < 0) return lines;
    start = end + 1;
  }
}

function tooLong(line: number): AppError {
  const message = `is longer than ${LIMITS.stateLineBytesMax} bytes`;
  return new AppError(
    'body_too_large',
    `Line ${line} is too long. A line can have at most ${LIMITS.stateLineBytesMax} bytes.`,
    { errors: [{ path: `/${line}`, message }] },
  );
}
