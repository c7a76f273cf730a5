import type { JsonObject, JsonValue } from '../../src/world/types.ts';

interface HeaderDoc {
  description: string;
  schema: { type: 'string' | 'integer'; [keyword: string]: JsonValue };
  example: JsonValue;
}

/** Every header that has a meaning here, as it is sent or answered. */
export const HEADERS = {
  'If-Match': {
    description: 'The object must have one of these tags; `*`: it must exist. Otherwise 412.',
    schema: { type: 'string' },
    example: '"1795342742930000"',
  },
  'If-None-Match': {
    description:
      'On a read: 304 if the tag is one of these. On a write, only `*`: the object must not exist, otherwise 412.',
    schema: { type: 'string' },
    example: '*',
  },
  'Cache-Control': {
    description:
      'On a state: `max-stale=N` accepts a state that was the newest up to N seconds ago, at most 60. It costs no Redis command while a process has one.',
    schema: { type: 'string' },
    example: 'max-stale=5',
  },
  Age: {
    description: 'The seconds for which the state may have been out of date.',
    schema: { type: 'integer', minimum: 0 },
    example: 3,
  },
  ETag: {
    description: 'The version of the answer.',
    schema: { type: 'string' },
    example: '"1795342742930000"',
  },
  Location: { description: 'Where it is now.', schema: { type: 'string' }, example: '/v1/spaces/plaza' },
  Allow: {
    description: 'The methods of this route.',
    schema: { type: 'string' },
    example: 'GET, PUT',
  },
  'Accept-Patch': {
    description: 'The accepted format of a patch.',
    schema: { type: 'string' },
    example: 'application/merge-patch+json',
  },
  'Retry-After': {
    description: 'Seconds after which a retry may succeed.',
    schema: { type: 'integer', minimum: 0 },
    example: 2,
  },
  'Content-Length': {
    description: 'The bytes of the file. Required.',
    schema: { type: 'integer', minimum: 0 },
    example: 691_644,
  },
  'Repr-Digest': {
    description: 'The SHA-256 of the file, in base64 (RFC 9530).',
    schema: { type: 'string' },
    example: 'sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:',
  },
  'Content-Disposition': {
    description: 'The name of the file.',
    schema: { type: 'string' },
    example: "attachment; filename*=UTF-8''chair.glb",
  },
  Range: {
    description: 'One range of bytes. Several ranges get the whole file.',
    schema: { type: 'string' },
    example: 'bytes=0-1023',
  },
  'If-Range': {
    description: 'The range is used only if this is the tag of the file.',
    schema: { type: 'string' },
    example: '"44aff4ab2d7c3250525675a08f0cfa9591168cffe51791c5f5bbc417c15a6c38"',
  },
  'Content-Range': {
    description: 'The bytes in the answer, and the bytes of the file.',
    schema: { type: 'string' },
    example: 'bytes 0-1023/691644',
  },
  'Accept-Ranges': { description: 'Ranges are served.', schema: { type: 'string' }, example: 'bytes' },
  RateLimit: {
    description: 'The remaining requests (`r`), and the seconds until there are more (`t`).',
    schema: { type: 'string' },
    example: '"requests";r=11999;t=1',
  },
  'RateLimit-Policy': {
    description: 'The size of a burst (`q`), which comes back over `w` seconds.',
    schema: { type: 'string' },
    example: '"requests";q=12000;w=60',
  },
  Prefer: {
    description:
      '`wait`: the answer comes after the commit. `respond-async`: it comes when the log has the write. Other preferences are ignored.',
    schema: { type: 'string' },
    example: 'wait',
  },
  'Preference-Applied': {
    description: 'The preference that was used.',
    schema: { type: 'string' },
    example: 'wait',
  },
  'Idempotency-Key': {
    description:
      'A unique key for this request (a UUIDv7 is best). Retries with it within an hour, by the same principal, return the first answer.',
    schema: { type: 'string', minLength: 1, maxLength: 128 },
    example: '019ab3f2-6d0e-7c51-9a4e-2b6de2f3a111',
  },
  'Last-Event-ID': {
    description: 'The id of the last event that the client has seen. The stream continues after it.',
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
    description: 'Tells QStash not to retry.',
    schema: { type: 'string' },
    example: 'true',
  },
  'WWW-Authenticate': {
    description: 'How to name oneself.',
    schema: { type: 'string' },
    example: 'Bearer realm="worldkeep"',
  },
  'X-Durability': {
    description:
      'The place of the acknowledged write. `committed`: in Postgres. `queued`: in the log. `spilled`: in Postgres until Redis is back. `memory`: in the server.',
    schema: { type: 'string', enum: ['committed', 'queued', 'spilled', 'memory'] },
    example: 'queued',
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
