import { AppError } from '../../src/world/errors.ts';
import { parseJsonBytes } from '../../src/world/json-text.ts';
import type { JsonValue } from '../../src/world/types.ts';
import type { AppContext } from './context.ts';

export interface BodyOptions {
  /** Bytes above which the body is refused, whatever it says of its length. */
  bytesMax: number;
  mediaType?: 'application/json' | 'application/merge-patch+json';
}

const FIRST_BUFFER_BYTES = 16_384;

/**
 * The body as JSON.
 * @throws unsupported_media_type, body_too_large, malformed_json, or validation_failed for JSON that no world can keep.
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

/** Counts while reading and stops above the limit: what Content-Length says is heeded only where it says too much. */
async function readBytes(c: AppContext, bytesMax: number): Promise<Uint8Array> {
  const declared = Number(c.req.header('Content-Length') ?? Number.NaN);
  const stream = c.req.raw.body;
  if (declared > bytesMax) {
    await stream?.cancel().catch(() => undefined);
    throw tooLarge(bytesMax, `has ${declared}`);
  }
  if (stream === null) return new Uint8Array();
  let buffer = new Uint8Array(declared > 0 ? declared : Math.min(FIRST_BUFFER_BYTES, bytesMax));
  let length = 0;
  const reader: ReadableStreamDefaultReader<Uint8Array> = stream.getReader();
  for (;;) {
    const chunk = await reader.read().catch((cause: unknown) => {
      throw new AppError('malformed_json', 'The body could not be read to its end.', { cause });
    });
    if (chunk.done) return buffer.subarray(0, length);
    if (length + chunk.value.length > bytesMax) {
      await reader.cancel().catch(() => undefined);
      throw tooLarge(bytesMax, `has more than ${bytesMax}`);
    }
    if (length + chunk.value.length > buffer.length) {
      const larger = new Uint8Array(
        Math.min(Math.max(buffer.length * 2, length + chunk.value.length), bytesMax),
      );
      larger.set(buffer.subarray(0, length));
      buffer = larger;
    }
    buffer.set(chunk.value, length);
    length += chunk.value.length;
  }
}

function tooLarge(bytesMax: number, actual: string): AppError {
  const message = `The body may have at most ${bytesMax} bytes; this one ${actual}.`;
  return new AppError('body_too_large', message, { errors: [{ path: '', message }] });
}
