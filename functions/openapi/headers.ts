import type { JsonObject, JsonValue } from '../../src/world/types.ts';

interface HeaderDoc {
  description: string;
  schema: { type: 'string' | 'integer'; [keyword: string]: JsonValue };
  example: JsonValue;
}

/** Every header that has a meaning here, as it is sent or answered. */
export const HEADERS = {
  'If-Match': {
    description: 'Only if the tag is one of these, or `*` for whatever is there; else 412.',
    schema: { type: 'string' },
    example: '"1795342742930000"',
  },
  'If-None-Match': {
    description:
      'On a read: 304 where the tag is one of these. On a write: `*` alone, only if nothing is there; else 412.',
    schema: { type: 'string' },
    example: '*',
  },
  'Cache-Control': {
    description:
      'On a state: `max-stale=N` accepts one that was the newest up to N seconds ago, 60 at most. It costs no command to Redis while a process holds one.',
    schema: { type: 'string' },
    example: 'max-stale=5',
  },
  Age: {
    description: 'The seconds for which the state may have been out of date.',
    schema: { type: 'integer', minimum: 0 },
    example: 3,
  },
  ETag: {
    description: 'The version of what was answered.',
    schema: { type: 'string' },
    example: '"1795342742930000"',
  },
  Location: { description: 'Where it is now.', schema: { type: 'string' }, example: '/v1/spaces/plaza' },
  Allow: {
    description: 'The methods that are served here.',
    schema: { type: 'string' },
    example: 'GET, PUT',
  },
  'Accept-Patch': {
    description: 'The form of a patch that is taken.',
    schema: { type: 'string' },
    example: 'application/merge-patch+json',
  },
  'Retry-After': {
    description: 'Seconds after which a repeat may succeed.',
    schema: { type: 'integer', minimum: 0 },
    example: 2,
  },
  RateLimit: {
    description:
      'How many more requests there may be at once (`r`), and the seconds after which there may be more (`t`).',
    schema: { type: 'string' },
    example: '"requests";r=11999;t=1',
  },
  'RateLimit-Policy': {
    description: 'How many requests there may be at once, and again over `w` seconds.',
    schema: { type: 'string' },
    example: '"requests";q=12000;w=60',
  },
  Prefer: {
    description:
      '`wait`: answered when it has committed. `respond-async`: answered when it is in the log. What else it says is passed over.',
    schema: { type: 'string' },
    example: 'wait',
  },
  'Preference-Applied': {
    description: 'What of `Prefer` was heeded.',
    schema: { type: 'string' },
    example: 'wait',
  },
  'Idempotency-Key': {
    description:
      'A name of the request’s own, best a UUIDv7: sent again under it, within an hour and by the same principal, it is not done again and has the first answer.',
    schema: { type: 'string', minLength: 1, maxLength: 128 },
    example: '019ab3f2-6d0e-7c51-9a4e-2b6de2f3a111',
  },
  'Last-Event-ID': {
    description: 'The id of the last event that was seen of the stream: it goes on behind it.',
    schema: { type: 'string', pattern: '^[0-9]{1,16}$' },
    example: '1795342742930000',
  },
  traceparent: {
    description:
      "The caller's place in a trace (W3C Trace Context), which is continued; else one begins here.",
    schema: { type: 'string' },
    example: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  },
  traceresponse: {
    description: "The request's own place in its trace.",
    schema: { type: 'string' },
    example: '00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-01',
  },
  'Upstash-NonRetryable-Error': {
    description: 'Says to QStash that trying again has no use.',
    schema: { type: 'string' },
    example: 'true',
  },
  'WWW-Authenticate': {
    description: 'How to name oneself.',
    schema: { type: 'string' },
    example: 'Bearer realm="worldkeep"',
  },
  'X-Request-Id': {
    description:
      "The request's name in the log: the caller's own (at most 128 letters, digits, `_`, `-`, `=`), or a new one.",
    schema: { type: 'string' },
    example: 'c7e1d0b2-7f1c-4a55-9f64-2b6de2f3a111',
  },
} as const satisfies Record<string, HeaderDoc>;

export type HeaderName = keyof typeof HEADERS;

/** As answers hold them. */
export function describeHeaders(names: readonly HeaderName[]): JsonObject {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** As requests hold them. */
export function referParameter(name: HeaderName): JsonObject {
  return { $ref: `#/components/parameters/${name}` };
}

/** Each as it is answered, and as it is sent. */
export function buildHeaderComponents(): { headers: JsonObject; parameters: JsonObject } {
  const all = Object.entries(HEADERS);
  return {
    headers: Object.fromEntries(all.map(([name, header]) => [name, { ...header }])),
    parameters: Object.fromEntries(all.map(([name, header]) => [name, { name, in: 'header', ...header }])),
  };
}
