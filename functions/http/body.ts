import { AppError } from '../../src/world/errors.ts';
import { parseJsonBytes } from '../../src/world/json-text.ts';
import type { JsonValue } from '../../src/world/types.ts';
import { BodyReader } from './body-reader.ts';
import type { AppContext } from './context.ts';

export interface BodyOptions {
  /** Bytes above which the body is refused, whatever it says of its length. */
  bytesMax: number;
  mediaType?: 'application/json' | 'application/merge-patch+json';
}

const FIRST_BUFFER_BYTES = 16_384;
const FIRST_BUFFER_BYTES_MAX = 1024 * 1024;

/**
 * The body as JSON.
 * @throws unsupported_media_type, body_too_large, body_timeout, malformed_json, or validation_failed for JSON that no world can keep.
 */
export async function readJson(
  c: AppContext,
  { bytesMax, mediaType = 'application/json' }: BodyOptions,
): Promise<JsonValue> {
  checkMediaType(c, mediaType);
  return parseJsonBytes(await readBytes(c, bytesMax));
}

/** @throws unsupported_media_type */
export function checkMediaType(c: AppContext, mediaType: string): void {
  const refuse = (message: string) =>
    new AppError('unsupported_media_type', message, { errors: [{ path: '', message }] });
  const coding = c.req.header('Content-Encoding')?.trim().toLowerCase() ?? 'identity';
  if (coding !== 'identity') throw refuse('The body must not be compressed.');
  const [given = '', ...parameters] = (c.req.header('Content-Type') ?? '').toLowerCase().split(';');
  if (given.trim() !== mediaType) throw refuse(`The body must be sent as ${mediaType}.`);
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=');
    if (name.trim() === 'charset' && !/^"?utf-?8"?$/.test(value.trim()))
      throw refuse('The body must be encoded in UTF-8.');
  }
}

/**
 * The whole body. It counts while it reads and stops above the limit: a Content-Length is believed only where it is too large.
 * @throws body_too_large, body_timeout, malformed_json
 */
export async function readBytes(c: AppContext, bytesMax: number): Promise<Uint8Array> {
  const declared = Number(c.req.header('Content-Length') ?? Number.NaN);
  const body = BodyReader.open(c);
  if (body === null) return new Uint8Array();
  if (declared > bytesMax) {
    await body.discard();
    throw tooLarge(bytesMax, `has ${declared}`);
  }
  // A length that is only announced takes no memory.
  let buffer = new Uint8Array(Math.min(declared > 0 ? declared : FIRST_BUFFER_BYTES, FIRST_BUFFER_BYTES_MAX));
  let length = 0;
  for (;;) {
    const piece = await body.read();
    if (piece === null) return buffer.subarray(0, length);
    const end = length + piece.length;
    if (end > bytesMax) {
      await body.discard();
      throw tooLarge(bytesMax, `has more than ${bytesMax}`);
    }
    if (end > buffer.length) {
      const larger = new Uint8Array(Math.min(Math.max(buffer.length * 2, end), bytesMax));
      larger.set(buffer.subarray(0, length));
      buffer = larger;
    }
    buffer.set(piece, length);
    length = end;
  }
}

function tooLarge(bytesMax: number, actual: string): AppError {
  const message = `The server accepts at most ${bytesMax} bytes in a body. This body ${actual} bytes.`;
  return new AppError('body_too_large', message, { errors: [{ path: '', message }] });
}
