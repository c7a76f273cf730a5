import { createHash } from 'node:crypto';
import { BadRequest } from './http.ts';
import type { FlowLimits, MessageSpec } from './qstash-store.ts';

/** Header names in lower case. */
export type PublishHeaders = Record<string, string | undefined>;

const RETRIES_DEFAULT = 3;
const RETRIES_MAX = 20;
const TIMEOUT_MS_DEFAULT = 15 * 60_000;
const MESSAGE_BYTES_MAX = 1024 * 1024;
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

const FORWARD_PREFIX = 'upstash-forward-';
const FAILURE_CALLBACK_PREFIX = 'upstash-failure-callback-';
// A delivery's framing is its own.
const NOT_FORWARDED = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'keep-alive',
  'expect',
]);
// These would change what is delivered, or when; taken in silence they would be a lie.
const NOT_SERVED = ['upstash-callback', 'upstash-retry-delay', 'upstash-queue-name', 'upstash-redact-fields'];

const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads a publish: its destination, its `Upstash-…` headers, its body. Throws {@link BadRequest}. */
export function parseSpec(url: string, headers: PublishHeaders, body: Buffer): MessageSpec {
  for (const name of NOT_SERVED) {
    if (headers[name] !== undefined)
      throw new BadRequest(`the local queue does not serve the header ${name}`);
  }
  if (body.length > MESSAGE_BYTES_MAX)
    throw new BadRequest(`message is ${body.length} bytes, the limit is ${MESSAGE_BYTES_MAX}`);
  const method = (headers['upstash-method'] ?? 'POST').toUpperCase();
  if (!METHODS.includes(method)) throw new BadRequest(`invalid Upstash-Method ${method}`);
  const notBefore = headers['upstash-not-before'];
  const spec: MessageSpec = {
    url: checkDestination(url),
    method,
    headers: readForwarded(headers),
    bodyBase64: body.toString('base64'),
    delayMs: parseDuration('Upstash-Delay', headers['upstash-delay'] ?? '0s'),
    notBeforeMs: notBefore === undefined ? null : parseWhole('Upstash-Not-Before', notBefore) * 1_000,
    retriesMax: parseWhole(
      'Upstash-Retries',
      headers['upstash-retries'] ?? String(RETRIES_DEFAULT),
      RETRIES_MAX,
    ),
    timeoutMs:
      headers['upstash-timeout'] === undefined
        ? TIMEOUT_MS_DEFAULT
        : parseDuration('Upstash-Timeout', headers['upstash-timeout']),
    deduplicationId: headers['upstash-deduplication-id'] ?? null,
    failureCallback: readFailureCallback(headers),
    flow: readFlow(headers),
  };
  if (headers['upstash-content-based-deduplication'] === 'true') spec.deduplicationId = hashContent(spec);
  return spec;
}

/** `10s`, `1h30m`, `1d`, or a number of seconds, in milliseconds; null if it is none of these. */
export function readDuration(text: string): number | null {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1_000;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return null;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    totalMs += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  return totalMs;
}

/** Refuses what is not on this machine: a development tool sends nothing outside. */
function checkDestination(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw new BadRequest(
      `invalid destination url: ${text} (the local queue delivers to http URLs, not to groups)`,
    );
  const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (!isLoopback)
    throw new BadRequest(`the local queue delivers to this machine only, not to ${url.hostname}`);
  return text;
}

function readForwarded(headers: PublishHeaders): Record<string, string> {
  const forwarded: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue;
    const target = name.startsWith(FORWARD_PREFIX) ? name.slice(FORWARD_PREFIX.length) : null;
    if (target !== null && !NOT_FORWARDED.has(target)) forwarded[target] = value;
  }
  if (headers['content-type'] !== undefined) forwarded['content-type'] = headers['content-type'];
  return forwarded;
}

function readFailureCallback(headers: PublishHeaders): MessageSpec['failureCallback'] {
  const url = headers['upstash-failure-callback'];
  if (url === undefined) return null;
  const own: Record<string, string> = { 'content-type': 'application/json' };
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && name.startsWith(FAILURE_CALLBACK_PREFIX))
      own[`upstash-${name.slice(FAILURE_CALLBACK_PREFIX.length)}`] = value;
  }
  parseSpec(url, own, Buffer.alloc(0)); // What is wrong with it is said now, not when it is needed.
  return { url, headers: own };
}

/** `Upstash-Flow-Control-Value: parallelism=2, rate=10, period=1m`; a rate without period is a second's. */
function readFlow(headers: PublishHeaders): FlowLimits | null {
  const key = headers['upstash-flow-control-key'];
  if (key === undefined) return null;
  const flow: FlowLimits = { key, parallelism: null, rate: null, periodMs: 1_000 };
  for (const part of (headers['upstash-flow-control-value'] ?? '').split(',')) {
    const [name = '', value = ''] = part.split('=').map((text) => text.trim());
    switch (name.toLowerCase()) {
      case 'parallelism':
        flow.parallelism = parseWhole(name, value);
        break;
      case 'rate':
        flow.rate = parseWhole(name, value);
        break;
      case 'period':
        flow.periodMs = parseDuration(name, value);
        break;
      default:
        throw new BadRequest(`invalid Upstash-Flow-Control-Value: ${part}`);
    }
  }
  return flow;
}

function hashContent(spec: MessageSpec): string {
  const content = [spec.url, spec.bodyBase64, Object.entries(spec.headers).sort()];
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

function parseDuration(name: string, text: string): number {
  const ms = readDuration(text);
  if (ms === null) throw new BadRequest(`invalid ${name}: ${text}`);
  return ms;
}

function parseWhole(name: string, text: string, max: number = Number.MAX_SAFE_INTEGER): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value) || value > max) throw new BadRequest(`invalid ${name}: ${text} (0 to ${max})`);
  return value;
}
