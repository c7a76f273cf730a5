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
const FIRST_BUFFER_BYTES_MAX = 1024 * 1024;
/** Bytes above the limit that are still read before the answer. */
const DISCARDED_BYTES_MAX = 64 * 1024 * 1024;
/** Milliseconds without a byte after which nothing more is expected. */
const DISCARD_SILENCE_MS_MAX = 250;

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
export async function readBytes(c: AppContext, bytesMax: number): Promise<Uint8Array> {
  const declared = Number(c.req.header('Content-Length') ?? Number.NaN);
  const stream = c.req.raw.body;
  if (stream === null) return new Uint8Array();
  // The runtime collects it faster than it hands it over in pieces, and takes no more than was declared.
  if (declared > 0 && declared <= bytesMax) return readDeclared(c, bytesMax);
  // Not as much as was declared: what is only announced takes no memory.
  let buffer = new Uint8Array(Math.min(declared > 0 ? declared : FIRST_BUFFER_BYTES, FIRST_BUFFER_BYTES_MAX));
  let length = 0;
  const reader: ReadableStreamDefaultReader<Uint8Array> = stream.getReader();
  if (declared > bytesMax) {
    await discard(reader);
    throw tooLarge(bytesMax, `has ${declared}`);
  }
  for (;;) {
    const chunk = await reader.read().catch((cause: unknown) => {
      throw new AppError('malformed_json', 'The body could not be read to its end.', { cause });
    });
    if (chunk.done) return buffer.subarray(0, length);
    if (length + chunk.value.length > bytesMax) {
      await discard(reader);
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

async function readDeclared(c: AppContext, bytesMax: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(
    await c.req.raw.arrayBuffer().catch((cause: unknown) => {
      throw new AppError('malformed_json', 'The body could not be read to its end.', { cause });
    }),
  );
  // A request that no server has read may say what it likes of its length.
  if (bytes.length > bytesMax) throw tooLarge(bytesMax, `has ${bytes.length}`);
  return bytes;
}

/**
 * Reads on and keeps nothing, up to a limit and for a moment: a client, or a proxy before us, that is still sending takes
 * an answer for a broken connection. One that announced more than it sends is not waited for.
 */
async function discard(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = () =>
    new Promise<null>((resolve) => {
      clearTimeout(timer);
      timer = setTimeout(() => resolve(null), DISCARD_SILENCE_MS_MAX);
    });
  let discarded = 0;
  try {
    while (discarded < DISCARDED_BYTES_MAX) {
      const read = await Promise.race([reader.read(), silence()]);
      if (read === null || read.done) break;
      discarded += read.value.length;
    }
    await Promise.race([reader.cancel(), silence()]);
  } catch {
    // It is the client's to end early: the answer is the same.
  }
  clearTimeout(timer);
}

function tooLarge(bytesMax: number, actual: string): AppError {
  const message = `The body may have at most ${bytesMax} bytes; this one ${actual}.`;
  return new AppError('body_too_large', message, { errors: [{ path: '', message }] });
}
