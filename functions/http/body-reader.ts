import { AppError } from '../../src/world/errors.ts';
import type { AppContext } from './context.ts';
import { within } from './deadline.ts';

/** Bytes that one read asks for. By default workerd returns 4 KiB a read, which costs it five times the CPU. */
const READ_BYTES = 65_536;
/** Bytes of a refused body that are still read before the answer. */
const DISCARDED_BYTES_MAX = 64 * 1024 * 1024;
/** Milliseconds without a byte after which a refused body is not read any more. */
const DISCARD_SILENCE_MS_MAX = 250;

type ByteStream = ReadableStream<Uint8Array>;

/** Reads the body of a request piece by piece, and gives up when no byte arrives for `BODY_TIMEOUT_MS`. */
export class BodyReader {
  readonly #readNext: () => Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  readonly #cancel: () => Promise<void>;
  readonly #timeoutMs: number;
  readonly #whileReading: <T>(reading: Promise<T>) => Promise<T>;

  private constructor(
    stream: ByteStream,
    pieceBytes: number,
    timeoutMs: number,
    whileReading = <T>(reading: Promise<T>) => reading,
  ) {
    const reader = openBytes(stream) ?? stream.getReader();
    this.#readNext = () =>
      reader instanceof ReadableStreamDefaultReader ? reader.read() : reader.read(new Uint8Array(pieceBytes));
    this.#cancel = () => reader.cancel();
    this.#timeoutMs = timeoutMs;
    this.#whileReading = whileReading;
  }

  /** @returns null for a request without a body. */
  static open(c: AppContext): BodyReader | null {
    const stream: ByteStream | null = c.req.raw.body;
    if (stream === null) return null;
    const declared = Number(c.req.header('Content-Length') ?? READ_BYTES);
    const pieceBytes = declared > 0 && declared < READ_BYTES ? declared : READ_BYTES;
    const { bodyTimeoutMs } = c.get('services').config.limits;
    return new BodyReader(stream, pieceBytes, bodyTimeoutMs, c.get('whileReading'));
  }

  /**
   * The next bytes, or null at the end.
   * @throws body_timeout when none arrive in time, malformed_json when the body breaks off
   */
  async read(timeoutMs = this.#timeoutMs): Promise<Uint8Array | null> {
    const next = this.#readNext().catch((cause: unknown) => {
      throw new AppError('malformed_json', 'The server could not read the whole body.', { cause });
    });
    const reading = within(timeoutMs, next, () => {
      const message = `The server received no body data for ${timeoutMs} ms. Send the request again.`;
      return new AppError('body_timeout', message);
    });
    const { done, value } = await this.#whileReading(reading);
    return done || value === undefined ? null : value;
  }

  /**
   * Reads on for a moment and keeps nothing: a client or a proxy that is still sending takes an early answer for a broken
   * connection. A client that sends less than it announced is not waited for.
   */
  async discard(): Promise<void> {
    try {
      for (let discarded = 0; discarded < DISCARDED_BYTES_MAX; ) {
        const piece = await this.read(DISCARD_SILENCE_MS_MAX);
        if (piece === null) return;
        discarded += piece.length;
      }
      await within(DISCARD_SILENCE_MS_MAX, this.#cancel());
    } catch {
      // The answer is the same, whether the client has ended or is silent.
    }
  }
}

/** @returns null where the runtime does not read this stream into the caller's own memory. */
function openBytes(stream: ByteStream): ReadableStreamBYOBReader | null {
  try {
    return stream.getReader({ mode: 'byob' });
  } catch {
    return null;
  }
}
