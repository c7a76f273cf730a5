import { fromBase64, toHex } from '../../src/helpers/bytes.ts';
import { AppError } from '../../src/world/errors.ts';
import { BodyReader } from './body-reader.ts';
import type { AppContext } from './context.ts';

/** @returns the announced bytes of the body. @throws length_required, validation_failed */
export function readLength(c: AppContext): number {
  const header = c.req.header('Content-Length');
  if (header === undefined)
    throw new AppError(
      'length_required',
      'Send the number of bytes of the file in the header Content-Length.',
    );
  const bytes = /^\d{1,15}$/.test(header) ? Number(header) : Number.NaN;
  if (!Number.isSafeInteger(bytes)) throw refuseHeader('Content-Length', 'must be a whole number of bytes');
  return bytes;
}

/**
 * Reads the header Repr-Digest (RFC 9530). Other algorithms are ignored.
 * @returns the SHA-256 as 64 hexadecimal digits; null without one. @throws validation_failed
 */
export function readDigest(c: AppContext): string | null {
  const header = c.req.header('Repr-Digest');
  if (header === undefined) return null;
  const member = header.split(',').find((item) => /^\s*sha-256\s*=/i.test(item));
  if (member === undefined) return null;
  const [, base64 = ''] = /=\s*:([A-Za-z0-9+/]{43}=):\s*$/.exec(member) ?? [];
  if (base64 === '')
    throw refuseHeader('Repr-Digest', 'must be sha-256=:BASE64:, with the 32 bytes of a SHA-256');
  return toHex(fromBase64(base64));
}

/** The body as it comes in; null without one. The stream fails with length_mismatch if the client ends too early. */
export function openBody(c: AppContext): ReadableStream<Uint8Array> | null {
  const body = BodyReader.open(c);
  if (body === null) return null;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const piece = await body.read();
          if (piece === null) controller.close();
          else controller.enqueue(piece);
        } catch (error) {
          const isCut = error instanceof AppError && error.code === 'malformed_json';
          controller.error(isCut ? brokenOff(error) : error);
        }
      },
      // The client is still sending: its answer comes after the rest.
      cancel: () => body.discard(),
    },
    { highWaterMark: 0 },
  );
}

function brokenOff(cause: AppError): AppError {
  return new AppError('length_mismatch', 'The body ended before its announced length. Upload it again.', {
    cause,
  });
}

function refuseHeader(name: string, message: string): AppError {
  return new AppError('validation_failed', 'The input is not valid.', {
    errors: [{ path: `/${name}`, message }],
  });
}
