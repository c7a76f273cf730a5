import { fingerprint } from '../../src/helpers/fingerprint.ts';
import { AppError } from '../../src/world/errors.ts';
import type { AppContext } from './context.ts';

const KEY = /^[\x21-\x7e]{1,128}$/;
const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/**
 * The Idempotency-Key of a request and what its body is known by; null without one.
 * @throws key_expired for a UUIDv7 older than keys are remembered: a repeat that late could be done twice
 */
export async function readIdempotency(
  c: AppContext,
  body: Uint8Array,
): Promise<{ key: string; fingerprint: string } | null> {
  const key = c.req.header('Idempotency-Key');
  if (key === undefined) return null;
  if (!KEY.test(key))
    throw new AppError('validation_failed', 'The input is not valid.', {
      errors: [{ path: '/Idempotency-Key', message: 'must have 1 to 128 visible ASCII characters' }],
    });
  refuseExpired(c, key);
  return { key, fingerprint: await fingerprint(body) };
}

/** @throws key_expired for a UUIDv7 that is older than keys are kept: such a late retry could be applied twice */
export function refuseExpired(c: AppContext, key: string): void {
  const { config, now } = c.get('services');
  const { idempotencyTtlSeconds } = config.limits;
  const uuid = UUID_V7.exec(key);
  if (uuid !== null && now() - Number.parseInt(`${uuid[1]}${uuid[2]}`, 16) > idempotencyTtlSeconds * 1_000)
    throw new AppError(
      'key_expired',
      `The server forgets idempotency keys after ${idempotencyTtlSeconds} seconds. It no longer knows whether it handled this request.`,
    );
}
