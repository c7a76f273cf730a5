import { createHash, createHmac, randomUUID } from 'node:crypto';
import { readSeconds } from './qstash-spec.ts';
import type { Message } from './qstash-store.ts';

/** An attempt's answer. Status 0: there was none, and the body says why. */
export interface DeliveryResult {
  status: number;
  headers: Headers;
  body: string;
}

const SIGNATURE_S = 300;
const BACKOFF_S_MAX = 86_400;

/** One signed attempt. Never rejects. Redirects are not followed: they could lead outside. */
export async function deliver(
  message: Message,
  signingKey: string,
  signal: AbortSignal,
): Promise<DeliveryResult> {
  const { url, method, body, messageId, retried, scheduleId } = message;
  try {
    const response = await fetch(url, {
      method,
      headers: {
        ...message.headers,
        'user-agent': 'Upstash-QStash',
        'upstash-message-id': messageId,
        'upstash-retried': String(retried),
        'upstash-signature': sign(url, body, signingKey),
        ...(scheduleId !== null && { 'upstash-schedule-id': scheduleId }),
      },
      body,
      redirect: 'manual',
      signal,
    });
    return { status: response.status, headers: response.headers, body: await response.text() };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return {
      status: 0,
      headers: new Headers(),
      body: cause instanceof Error ? cause.message : String(cause),
    };
  }
}

/**
 * The `Upstash-Signature` of one attempt: a JWT over the destination and the body's SHA-256. Its times are
 * the wall clock's whatever clock the queue has, for the receiver holds them against its own.
 */
export function sign(url: string, body: string | Buffer, signingKey: string): string {
  const nowS = Math.floor(Date.now() / 1_000);
  const claims = {
    iss: 'Upstash',
    sub: url,
    iat: nowS,
    nbf: nowS,
    exp: nowS + SIGNATURE_S,
    jti: `jwt_${randomUUID()}`,
    body: createHash('sha256').update(body).digest('base64url'),
  };
  const signed = [{ alg: 'HS256', typ: 'JWT' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${signed}.${createHmac('sha256', signingKey).update(signed).digest('base64url')}`;
}

/** The destination says that trying again has no use. */
export function isFinal({ status, headers }: DeliveryResult): boolean {
  return status === 489 && headers.get('upstash-nonretryable-error') === 'true';
}

/**
 * Milliseconds before retry number `retry` (from 1). `Retry-After` decides, up to a day. Otherwise it is 12 s, 2 min 28 s, 30 min 8 s, …
 * (`e^(2.5 n)` seconds), up to a day.
 */
export function findRetryDelay(headers: Headers, retry: number, nowMs: number): number {
  const text = headers.get('retry-after');
  const askedMs = text === null ? Number.NaN : (readSeconds(text) ?? Date.parse(text) - nowMs);
  if (askedMs <= BACKOFF_S_MAX * 1_000) return Math.max(askedMs, 0);
  return Math.min(BACKOFF_S_MAX, Math.floor(Math.exp(2.5 * retry))) * 1_000;
}
