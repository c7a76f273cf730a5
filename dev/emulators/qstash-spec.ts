import { BadRequest } from './http.ts';
import type { MessageSpec } from './qstash-store.ts';

/** Header names in lower case. */
export type PublishHeaders = Record<string, string | undefined>;

const RETRIES_DEFAULT = 3;
const RETRIES_MAX = 20;
const MESSAGE_BYTES_MAX = 1024 * 1024;
const FORWARD_PREFIX = 'upstash-forward-';
/** Other headers of QStash would change what is delivered, or when: to ignore them would be a lie. */
const SERVED = new Set([
  'cron',
  'delay',
  'method',
  'retries',
  'schedule-id',
  'telemetry-sdk',
  'telemetry-platform',
  'telemetry-runtime',
]);

/** Reads a publish: its destination, its `Upstash-…` headers, its body. Throws {@link BadRequest}. */
export function parseSpec(url: string, headers: PublishHeaders, body: Buffer): MessageSpec {
  const forwarded: Record<string, string> = {};
  for (const [name, value = ''] of Object.entries(headers)) {
    if (name.startsWith(FORWARD_PREFIX)) forwarded[name.slice(FORWARD_PREFIX.length)] = value;
    else if (name.startsWith('upstash-') && !SERVED.has(name.slice('upstash-'.length)))
      throw new BadRequest(`the local queue does not serve the header ${name}`);
  }
  if (headers['content-type'] !== undefined) forwarded['content-type'] = headers['content-type'];
  if (body.length > MESSAGE_BYTES_MAX)
    throw new BadRequest(`message is ${body.length} bytes, the limit is ${MESSAGE_BYTES_MAX}`);
  const method = headers['upstash-method'] ?? 'POST';
  if (method !== 'POST') throw new BadRequest(`the local queue delivers by POST, not by ${method}`);
  const retries = headers['upstash-retries'] ?? String(RETRIES_DEFAULT);
  if (!/^\d+$/.test(retries) || Number(retries) > RETRIES_MAX)
    throw new BadRequest(`invalid Upstash-Retries: ${retries} (0 to ${RETRIES_MAX})`);
  const delay = headers['upstash-delay'] ?? '0s';
  const delayMs = readSeconds(delay);
  if (delayMs === null) throw new BadRequest(`invalid Upstash-Delay: ${delay}`);
  return {
    url: checkDestination(url),
    method,
    headers: forwarded,
    body: body.toString('utf8'),
    delayMs,
    retriesMax: Number(retries),
  };
}

/** `10s`, or a number of seconds, in milliseconds; null if it is neither. */
export function readSeconds(text: string): number | null {
  return /^\d+(\.\d+)?s?$/.test(text) ? Number.parseFloat(text) * 1_000 : null;
}

/** Refuses what is not on this machine: a development tool sends nothing outside. */
function checkDestination(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw new BadRequest(`invalid destination url: ${text}`);
  if (!/^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname))
    throw new BadRequest(`the local queue delivers to this machine only, not to ${url.hostname}`);
  return text;
}
