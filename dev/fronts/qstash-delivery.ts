import { createHash, createHmac, randomUUID } from 'node:crypto';
import { readDuration } from './qstash-spec.ts';
import type { Message } from './qstash-store.ts';

/** An attempt's answer. Status 0: there was none, and the body says why. */
export interface DeliveryResult {
  status: number;
  headers: Record<string, string[]>;
  body: Buffer;
}

const SIGNATURE_S = 300;
const BACKOFF_S_MAX = 86_400;
const RESPONSE_BYTES_MAX = 1024 * 1024;
const RETRY_HEADERS = [
  'retry-after',
  'x-ratelimit-reset',
  'x-ratelimit-reset-requests',
  'x-ratelimit-reset-tokens',
];

/** One signed attempt. Never rejects. Redirects are not followed: they could lead outside. */
export async function deliver(
  message: Message,
  signingKey: string,
  signal: AbortSignal,
): Promise<DeliveryResult> {
  const body = Buffer.from(message.bodyBase64, 'base64');
  const hasBody = message.method !== 'GET';
  const headers: Record<string, string> = {
    ...message.headers,
    'user-agent': 'Upstash-QStash',
    'upstash-message-id': message.messageId,
    'upstash-retried': String(message.retried),
    'upstash-signature': sign(message.url, hasBody ? body : Buffer.alloc(0), signingKey),
  };
  if (message.scheduleId !== null) headers['upstash-schedule-id'] = message.scheduleId;
  try {
    const response = await fetch(message.url, {
      method: message.method,
      headers,
      ...(hasBody ? { body: new Uint8Array(body) } : {}),
      redirect: 'manual',
      signal,
    });
    return {
      status: response.status,
      headers: Object.fromEntries([...response.headers].map(([name, value]) => [name, [value]])),
      body: Buffer.from(await response.arrayBuffer()).subarray(0, RESPONSE_BYTES_MAX),
    };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return {
      status: 0,
      headers: {},
      body: Buffer.from(cause instanceof Error ? cause.message : String(cause)),
    };
  }
}

/**
 * The `Upstash-Signature` of one attempt: a JWT over the destination and the body's SHA-256. Its times are
 * the wall clock's whatever clock the queue has, for the receiver holds them against its own.
 */
export function sign(url: string, body: Buffer, signingKey: string): string {
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

export function isDelivered({ status }: DeliveryResult): boolean {
  return status >= 200 && status < 300;
}

/** The destination says that trying again has no use. */
export function isFinal({ status, headers }: DeliveryResult): boolean {
  return status === 489 && headers['upstash-nonretryable-error']?.[0] === 'true';
}

/**
 * How long to wait before retry number `retry` (from 1), in milliseconds: what the destination asks for, if
 * that is a day at most; else 12 s, 2 min 28 s, 30 min 8 s, … (`e^(2.5 n)` seconds) up to a day.
 */
export function findRetryDelay({ headers }: DeliveryResult, retry: number, nowMs: number): number {
  for (const name of RETRY_HEADERS) {
    const text = headers[name]?.[0];
    if (text === undefined) continue;
    const askedMs = readDuration(text) ?? Date.parse(text) - nowMs;
    if (askedMs <= BACKOFF_S_MAX * 1_000) return Math.max(askedMs, 0);
  }
  return Math.min(BACKOFF_S_MAX, Math.floor(Math.exp(2.5 * retry))) * 1_000;
}
