import { fingerprint } from '../../src/helpers/fingerprint.ts';
import { readUuidTime } from '../../src/helpers/uuid-time.ts';
import { AppError } from '../../src/world/errors.ts';
import type { AppContext } from './context.ts';

const KEY = /^[\x21-\x7e]{1,128}$/;

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
  const madeMs = readUuidTime(key);
  if (madeMs !== null && now() - madeMs > idempotencyTtlSeconds * 1_000)
    throw new AppError(
      'key_expired',
      `The server forgets idempotency keys after ${idempotencyTtlSeconds} seconds. It no longer knows whether it handled this request.`,
    );
}
