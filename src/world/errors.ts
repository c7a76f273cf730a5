/** The stable name of every failure that a caller can get. functions/http/problem.ts has their HTTP statuses. */
export type ErrorCode =
  | 'malformed_json'
  | 'validation_failed'
  | 'properties_too_large'
  | 'body_too_large'
  | 'body_timeout'
  | 'unsupported_media_type'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'conflict'
  | 'precondition_failed'
  | 'idempotency_key_reused'
  | 'length_mismatch'
  | 'digest_mismatch'
  | 'invalid_file'
  | 'length_required'
  | 'quota_exceeded'
  | 'range_not_satisfiable'
  | 'no_asset_store'
  | 'key_expired'
  | 'rate_limited'
  | 'backlog_full'
  | 'write_queued'
  | 'misconfigured'
  | 'no_signing_key'
  | 'no_live_log'
  | 'trimmed'
  | 'too_many_streams'
  | 'no_presence'
  | 'store_unavailable'
  | 'state_unsettled'
  | 'internal';

/** One error in an input: its place (JSON Pointer, `''` is the whole input) and its description. */
export interface FieldError {
  path: string;
  message: string;
}

/** An expected failure. Callers see `message`: it never contains a secret, a payload or a store's own message. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly errors: readonly FieldError[];
  /** Seconds after which a retry may succeed. */
  readonly retryAfterSeconds: number | undefined;
  /** A smaller batch may succeed: this one was too large, or took too long. */
  readonly retrySmaller: boolean;
  /** No retry succeeds until an operator changes something: a password, a right, a migration. */
  readonly needsOperator: boolean;
  /**
   * The store could not be reached. `unsent`: the request did not get there. `lost`: it may have been done. Undefined: the store
   * answered, or this is another failure.
   */
  readonly outage: 'unsent' | 'lost' | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      cause?: unknown;
      errors?: readonly FieldError[];
      retryAfterSeconds?: number;
      retrySmaller?: boolean;
      needsOperator?: boolean;
      outage?: 'unsent' | 'lost' | undefined;
    } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.errors = options.errors ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.retrySmaller = options.retrySmaller ?? false;
    this.needsOperator = options.needsOperator ?? false;
    this.outage = options.outage;
  }
}

/** Whether a store does not answer. The request itself may be correct. */
export function isAway(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'store_unavailable';
}

/** Whether a store could not be reached. A store that answers with a refusal is not meant. */
export function isOutage(error: unknown): error is AppError & { outage: 'unsent' | 'lost' } {
  return isAway(error) && error.outage !== undefined;
}

/** The kinds of things that a caller names. The message says the kind, because a request may name several things. */
export type MissingThing =
  | 'this tenant'
  | 'this space'
  | 'this object in this space'
  | 'this message in this space'
  | 'this person'
  | 'this session'
  | 'an open session with this id'
  | 'this API key'
  | 'this dead letter'
  | 'this model'
  | 'this media file'
  | 'an open upload with this id'
  | 'these bytes'
  | 'a thing that the request names';

/**
 * The thing does not exist, or it belongs to another tenant. A caller cannot tell the two apart: `missing` depends only on the request
 * and on the caller's own tenant.
 */
export function notFound(missing: MissingThing, options: { cause?: unknown } = {}): AppError {
  return new AppError('not_found', `Worldkeep cannot find ${missing}.`, options);
}

const CAUSES_MAX = 5;

/** An error and its causes. The Neon client stores a cause as `sourceError`. */
export function* listCauses(error: unknown): Generator<Error & { code?: unknown }> {
  for (let at = error, depth = 0; at instanceof Error && depth < CAUSES_MAX; depth++) {
    yield at;
    at = at.cause ?? (at as { sourceError?: unknown }).sourceError;
  }
}

/** @returns the code of the system or of TLS, such as ENOTFOUND, from any of the causes. */
export function readSystemCode(error: unknown): string | undefined {
  for (const { code } of listCauses(error))
    if (typeof code === 'string' && /^[A-Z][A-Z_]{3,}[A-Z]$/.test(code)) return code;
  return undefined;
}
