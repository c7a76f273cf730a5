import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { AppError, type ErrorCode } from '../../src/world/errors.ts';
import { readBasePath } from './base-path.ts';
import type { AppContext } from './context.ts';
import { describeError } from './describe-error.ts';

/** Failures that exist only in HTTP, in addition to the failures of the world. */
type HttpErrorCode = 'method_not_allowed' | 'rate_limited' | 'job_refused';

/** Every code except `write_queued`, which the routes answer as 202. */
export type ProblemCode = Exclude<ErrorCode, 'write_queued'> | HttpErrorCode;

/** Every code, its status and its title. */
export const PROBLEMS: Record<ProblemCode, { status: ContentfulStatusCode; title: string }> = {
  unauthorized: { status: 401, title: 'The request has no valid credential' },
  forbidden: { status: 403, title: 'The credential does not allow this' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'This route does not accept the method' },
  body_timeout: { status: 408, title: 'The server did not receive the body in time' },
  conflict: { status: 409, title: 'The request conflicts with the current data' },
  key_expired: { status: 409, title: 'The idempotency key is too old' },
  trimmed: { status: 410, title: 'The log no longer has the changes after this seq' },
  length_required: { status: 411, title: 'The request needs a Content-Length' },
  precondition_failed: { status: 412, title: 'The current version does not meet the request’s condition' },
  body_too_large: { status: 413, title: 'The body is too large' },
  quota_exceeded: { status: 413, title: 'The tenant has no room for this file' },
  unsupported_media_type: { status: 415, title: 'The server does not accept this body format' },
  range_not_satisfiable: { status: 416, title: 'The file has no such range' },
  malformed_json: { status: 422, title: 'The body is not JSON' },
  validation_failed: { status: 422, title: 'The input is not valid' },
  properties_too_large: { status: 422, title: 'The properties are too large' },
  idempotency_key_reused: { status: 422, title: 'A different request already used this idempotency key' },
  length_mismatch: { status: 422, title: 'The body does not have the announced length' },
  digest_mismatch: { status: 422, title: 'The body does not have the announced digest' },
  invalid_file: { status: 422, title: 'The file is not valid' },
  backlog_full: { status: 429, title: 'Too many changes are waiting for the database' },
  rate_limited: { status: 429, title: 'Too many requests' },
  too_many_streams: { status: 429, title: 'Too many streams are open' },
  // The status that QStash knows: it does not try again.
  job_refused: { status: 489 as number as ContentfulStatusCode, title: 'The server cannot do this job' },
  internal: { status: 500, title: 'Internal error' },
  no_signing_key: { status: 501, title: 'This server has no key to sign session tokens' },
  no_asset_store: { status: 501, title: 'This server has no bucket for files' },
  no_live_log: { status: 501, title: 'This server has no change log' },
  no_presence: { status: 501, title: 'This server does not track who is in a space' },
  misconfigured: { status: 503, title: 'The service is not configured' },
  store_unavailable: { status: 503, title: 'The server cannot use one of its data stores now' },
  state_unsettled: { status: 503, title: 'The state is changing now' },
};

const RETRY_AFTER_SECONDS = 2;

/** A failure that only HTTP knows: thrown like an `AppError`, answered like one. */
export class HttpError extends Error {
  readonly code: HttpErrorCode;
  readonly headers: Record<string, string>;

  constructor(code: HttpErrorCode, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.name = 'HttpError';
    this.code = code;
    this.headers = headers;
  }
}

/**
 * The only place where a failure becomes an answer. An error that is not an `AppError` is a bug. It is answered 500, and the log line of
 * the request has its place in the code.
 */
export function answerProblem(error: unknown, c: AppContext): Response {
  const known =
    error instanceof AppError || error instanceof HttpError ? error : new AppError('internal', '');
  const code: ProblemCode = known.code === 'write_queued' ? 'store_unavailable' : known.code;
  const { status, title } = PROBLEMS[code];
  const requestId = c.get('requestId');
  c.set('failure', {
    code,
    ...(status >= 500 && { causes: describeError(error, { withPlaces: known.code === 'internal' }) }),
  });
  const body = {
    type: `urn:worldkeep:problem:${code}`,
    title,
    status,
    detail:
      known.code === 'internal'
        ? `The server had an unexpected error. The server log lists it under request ID ${requestId}.`
        : known.message,
    instance: readBasePath(c) + new URL(c.req.url).pathname,
    code,
    requestId,
    errors: known instanceof AppError ? known.errors : [],
  };
  return c.body(JSON.stringify(body), status, {
    'Content-Type': 'application/problem+json',
    'Cache-Control': 'no-store',
    ...(status === 503 && { 'Retry-After': String(RETRY_AFTER_SECONDS) }),
    ...readHeaders(known, c),
  });
}

function readHeaders(error: AppError | HttpError, c: AppContext): Record<string, string> {
  if (error instanceof HttpError) return error.headers;
  if (error.code === 'unauthorized') {
    const given = c.req.header('Authorization') !== undefined || c.req.query('access_token') !== undefined;
    return { 'WWW-Authenticate': `Bearer realm="worldkeep"${given ? ', error="invalid_token"' : ''}` };
  }
  if (error.code === 'unsupported_media_type' && c.req.method === 'PATCH')
    return { 'Accept-Patch': 'application/merge-patch+json' };
  const { retryAfterSeconds } = error;
  return retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) };
}
