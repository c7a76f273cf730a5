/** Every failure a caller can meet, by its stable name. HTTP statuses are given to them in functions/http/problem.ts. */
export type ErrorCode =
  | 'malformed_json'
  | 'validation_failed'
  | 'properties_too_large'
  | 'body_too_large'
  | 'unsupported_media_type'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'conflict'
  | 'precondition_failed'
  | 'misconfigured'
  | 'no_signing_key'
  | 'store_unavailable'
  | 'state_unsettled'
  | 'internal';

/** One thing that is wrong with an input: where (JSON Pointer, `''` is the whole) and what. */
export interface FieldError {
  path: string;
  message: string;
}

/** An expected failure. `message` is shown to callers: it never holds a secret, a payload or a store's own words. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly errors: readonly FieldError[];
  /** Seconds after which a repeat may succeed. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; errors?: readonly FieldError[]; retryAfterSeconds?: number } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.errors = options.errors ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
