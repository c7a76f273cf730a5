import type { JsonObject } from '../../src/world/types.ts';
import { PROBLEMS, type ProblemCode } from '../http/problem.ts';
import { refer } from './components.ts';
import { describeHeaders, type HeaderName } from './headers.ts';
import type { Route } from './types.ts';

/** The problems of every route. */
const ANYWHERE: readonly ProblemCode[] = ['validation_failed', 'internal', 'misconfigured'];
const SIGNED: readonly ProblemCode[] = ['unauthorized', 'store_unavailable'];
const WITH_CREDENTIAL: readonly ProblemCode[] = ['unauthorized', 'forbidden', 'rate_limited'];
const WITH_BODY: readonly ProblemCode[] = [
  'unsupported_media_type',
  'body_too_large',
  'body_timeout',
  'malformed_json',
];

const HEADERS_BY_CODE: Partial<Record<ProblemCode, readonly HeaderName[]>> = {
  unauthorized: ['WWW-Authenticate'],
  unsupported_media_type: ['Accept-Patch'],
  method_not_allowed: ['Allow'],
  job_refused: ['Upstash-NonRetryable-Error'],
  too_many_streams: ['Retry-After'],
  rate_limited: ['RateLimit', 'RateLimit-Policy', 'Retry-After'],
};

/** Every code that a route can answer with. */
export function listProblems({ access, body, headers = [], problems = [] }: Route): ProblemCode[] {
  // No client's fault is told to QStash in detail: it reads the status alone.
  if (access === 'signed') return [...new Set([...ANYWHERE, ...SIGNED, ...problems])];
  if (access === 'metrics') return [...new Set([...ANYWHERE, 'unauthorized' as const, ...problems])];
  return [
    ...new Set([
      ...ANYWHERE,
      ...(access === 'open' ? [] : WITH_CREDENTIAL),
      ...(access === 'open' || access === 'optional' ? [] : (['store_unavailable'] as const)),
      ...(body === undefined ? [] : WITH_BODY),
      ...(headers.some((name) => name.startsWith('If-')) ? (['precondition_failed'] as const) : []),
      ...problems,
    ]),
  ];
}

/** By status, for they are one answer there. */
export function groupProblems(codes: readonly ProblemCode[]): [status: number, codes: ProblemCode[]][] {
  return [...Map.groupBy(codes, (code) => PROBLEMS[code].status)];
}

/** @param codes of one status. */
export function describeProblem(codes: readonly ProblemCode[], status: number): JsonObject {
  const headers = new Set<HeaderName>([
    'X-Request-Id',
    ...codes.flatMap((code) => HEADERS_BY_CODE[code] ?? []),
  ]);
  if (status === 503) headers.add('Retry-After');
  return {
    description: `${codes.map((code) => `\`${code}\`: ${PROBLEMS[code].title}`).join('; ')}.`,
    headers: describeHeaders([...headers]),
    content: {
      'application/problem+json': {
        schema: {
          allOf: [
            refer('Problem'),
            { properties: { status: { const: status }, code: { enum: [...codes] } } },
          ],
        },
        examples: Object.fromEntries(codes.map((code) => [code, { value: writeExample(code, status) }])),
      },
    },
  };
}

function writeExample(code: ProblemCode, status: number): JsonObject {
  const { title } = PROBLEMS[code];
  return {
    type: `urn:worldkeep:problem:${code}`,
    title,
    status,
    detail: `${title}.`,
    instance: '/v1/spaces/plaza',
    code,
    requestId: 'c7e1d0b2-7f1c-4a55-9f64-2b6de2f3a111',
    errors: code === 'validation_failed' ? [{ path: '/limit', message: 'must be at least 1' }] : [],
  };
}
