import { base64url, errors, type JWTPayload, jwtVerify } from 'jose';
import { AppError } from '../../src/world/errors.ts';
import { readBytes } from './body.ts';
import type { AppContext } from './context.ts';

/** A call that QStash has signed. */
export interface Delivery {
  /** The signature's own id: another one for each attempt. */
  id: string;
  body: Uint8Array;
}

const SIGNATURE_SECONDS_MAX = 300;
/** How far the clock here may be from QStash's. */
const CLOCK_SKEW_SECONDS_MAX = 15;
/** For so long one signature may be taken, from the first moment to the last. */
export const SIGNATURE_HELD_SECONDS = SIGNATURE_SECONDS_MAX + 2 * CLOCK_SKEW_SECONDS_MAX;
const BODY_BYTES_MAX = 16_384;
const DELIVERY_ID_LENGTH_MAX = 256;

/**
 * The body of a call whose `Upstash-Signature` is QStash's, made within the last five minutes for this URL and these bytes.
 * It asks no store, and does not read the body of a request without a signature.
 * @throws unauthorized, in the same words whatever is wrong with it; body_too_large.
 */
export async function verifyQstash(c: AppContext): Promise<Delivery> {
  const { config, now } = c.get('services');
  const signature = c.req.header('Upstash-Signature');
  if (config.qstash === null || config.publicUrl === null || signature === undefined) throw refuse();
  const body = await readBytes(c, BODY_BYTES_MAX);
  const { pathname, search } = new URL(c.req.url);
  const expected: Expected = {
    url: config.publicUrl + pathname + search,
    body: base64url.encode(new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(body)))),
    nowSeconds: now() / 1_000,
  };
  // While the keys are changed, the next one signs already.
  for (const key of [config.qstash.currentSigningKey, config.qstash.nextSigningKey]) {
    const id = await readDeliveryId(signature, key, expected);
    if (id !== null) return { id, body };
  }
  throw refuse();
}

interface Expected {
  url: string;
  /** SHA-256, base64url. */
  body: string;
  nowSeconds: number;
}

/** @returns null where the key has not signed it, or not this. */
async function readDeliveryId(signature: string, key: string, expected: Expected): Promise<string | null> {
  try {
    const { payload } = await jwtVerify(signature, new TextEncoder().encode(key), {
      algorithms: ['HS256'],
      issuer: 'Upstash',
      subject: expected.url,
      requiredClaims: ['exp', 'nbf', 'jti', 'body'],
      currentDate: new Date(expected.nowSeconds * 1_000),
      clockTolerance: CLOCK_SKEW_SECONDS_MAX,
    });
    return readId(payload, expected);
  } catch (error) {
    if (error instanceof errors.JOSEError) return null;
    throw error;
  }
}

/** Checks that the library does not make: the time to live, the id, and the body. */
function readId({ exp, jti, body }: JWTPayload, expected: Expected): string | null {
  const secondsLeft = (exp ?? Number.POSITIVE_INFINITY) - expected.nowSeconds;
  if (secondsLeft > SIGNATURE_SECONDS_MAX + CLOCK_SKEW_SECONDS_MAX) return null;
  if (typeof body !== 'string' || body.replace(/=+$/, '') !== expected.body) return null;
  const isId = typeof jti === 'string' && jti !== '' && jti.length <= DELIVERY_ID_LENGTH_MAX;
  return isId ? jti : null;
}

function refuse(): AppError {
  return new AppError(
    'unauthorized',
    'Only QStash can call this route. The request has no valid QStash signature.',
  );
}
