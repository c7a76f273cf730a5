import { AppError } from '../../src/world/errors.ts';
import { checkMediaType } from './body.ts';
import { BodyReader } from './body-reader.ts';
import type { AppContext } from './context.ts';
import { describeError } from './describe-error.ts';

export const NDJSON = 'application/x-ndjson';

/** Characters of lines that are sent in one piece. */
const PIECE_LENGTH = 64 * 1024;
const encoder = new TextEncoder();

/** Whether the body is said to be NDJSON. */
export function sendsNdjson(c: AppContext): boolean {
  return (c.req.header('Content-Type') ?? '').split(';')[0]?.trim().toLowerCase() === NDJSON;
}

/**
 * Reads the body in pieces, no faster than the caller uses them. If the caller stops early, the rest is discarded.
 * @throws unsupported_media_type, body_timeout, and malformed_json where the body breaks off.
 */
export async function* readPieces(c: AppContext): AsyncGenerator<Uint8Array> {
  checkMediaType(c, NDJSON);
  const body = BodyReader.open(c);
  if (body === null) return;
  let piece = await body.read();
  try {
    for (; piece !== null; piece = await body.read()) yield piece;
  } catch (error) {
    piece = null;
    throw error;
  } finally {
    // The reader stopped before the end.
    if (piece !== null) await body.discard();
  }
}

/**
 * Lines as the body of an answer, made as fast as they are taken. Where they break off the status has been sent already: the
 * last line is `{"kind":"error", code, detail, requestId}`, and the log knows why.
 */
export function streamLines(c: AppContext, lines: AsyncGenerator<object>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let text = '';
        let open = true;
        try {
          while (open && text.length < PIECE_LENGTH) {
            const line = await lines.next();
            if (line.done) open = false;
            else text += `${JSON.stringify(line.value)}\n`;
          }
        } catch (error) {
          open = false;
          text += `${JSON.stringify(toErrorLine(c, error))}\n`;
        }
        if (text !== '') controller.enqueue(encoder.encode(text));
        if (!open) controller.close();
      },
      async cancel() {
        await lines.return(undefined);
      },
    },
    // Nothing is made before it is asked for.
    { highWaterMark: 0 },
  );
}

/** Text as the body of an answer, made as fast as it is taken. If it breaks off, so does the answer, and the log knows why. */
export function streamPieces(c: AppContext, pieces: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const piece = await pieces.next();
          if (piece.done) controller.close();
          else controller.enqueue(encoder.encode(piece.value));
        } catch (error) {
          toErrorLine(c, error);
          controller.error(error);
        }
      },
      async cancel() {
        await pieces.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

/** Notes the failure in the log. */
function toErrorLine(c: AppContext, error: unknown): object {
  const { code, message } =
    error instanceof AppError && error.code !== 'internal'
      ? error
      : { code: 'internal', message: 'The server had an unexpected error.' };
  const requestId = c.get('requestId');
  c.get('services').log('error', 'stream_failed', {
    requestId,
    code,
    causes: describeError(error, { withPlaces: code === 'internal' }),
  });
  return { kind: 'error', code, detail: message, requestId };
}
