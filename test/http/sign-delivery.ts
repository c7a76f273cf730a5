import { createHash } from 'node:crypto';
import { SignJWT } from 'jose';
import { stack, uniqueName } from '../support.ts';

/** The address of the functions for QStash, wherever they listen. */
export const PUBLIC_URL = 'https://worldkeep.example';

export interface DeliveryToSign {
  body?: string | Uint8Array;
  key: string;
  path?: string;
  nowMs?: number;
  /** Undefined removes a claim. */
  claims?: Record<string, unknown>;
}

/** The `Upstash-Signature` that QStash makes for a delivery, except for the changed claims. */
export function signDelivery({
  body = '',
  key,
  path = '/jobs/drain',
  nowMs = Date.now(),
  claims = {},
}: DeliveryToSign): Promise<string> {
  const nowSeconds = Math.floor(nowMs / 1_000);
  const all: Record<string, unknown> = {
    iss: 'Upstash',
    sub: PUBLIC_URL + path,
    iat: nowSeconds,
    nbf: nowSeconds,
    exp: nowSeconds + 300,
    jti: uniqueName('jwt'),
    body: createHash('sha256').update(body).digest('base64url'),
    ...claims,
  };
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return new SignJWT(given)
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .sign(new TextEncoder().encode(key));
}

/** The variables of a server that accepts the signatures of `signDelivery`. */
export function signedVariables(): Record<string, string> {
  const { qstashToken, qstashCurrentSigningKey, qstashNextSigningKey } = stack();
  return {
    QSTASH_TOKEN: qstashToken,
    QSTASH_CURRENT_SIGNING_KEY: qstashCurrentSigningKey,
    QSTASH_NEXT_SIGNING_KEY: qstashNextSigningKey,
    PUBLIC_URL,
  };
}
