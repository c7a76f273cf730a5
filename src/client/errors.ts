/** One error in an input: its place (JSON Pointer) and its description. */
export interface FieldError {
  path: string;
  message: string;
}

/**
 * A failure that the SDK reports. `code` is the code of the server's answer (docs/http.md, "Errors"), or one of the SDK:
 * - `invalid_url`: `url` is not the address of a server.
 * - `not_worldkeep`: the server answered something other than worldkeep's JSON.
 * - `unreachable`: no answer. In a browser, an origin that the server does not allow looks the same.
 * - `no_token`: the function that gets tokens failed.
 * - `other_person`: a new token is of another person than the token before.
 * - `no_person`: the token names no person, and the call names none.
 * - `outbox_unavailable`: unsent changes cannot be stored, so they are lost with the page.
 * - `closed`: the world was closed first.
 * - `uncertain`: the log may have lost the change, and it is too late to send it again.
 * - `internal`: a fault of the SDK.
 */
export class WorldkeepError extends Error {
  readonly code: string;
  /** The HTTP status; null without an answer. */
  readonly status: number | null;
  readonly errors: readonly FieldError[];
  /** Seconds after which a retry may succeed. */
  readonly retryAfterSeconds: number | null;

  constructor(
    code: string,
    message: string,
    {
      status = null,
      errors = [],
      retryAfterSeconds = null,
      cause,
    }: {
      status?: number | null;
      errors?: readonly FieldError[];
      retryAfterSeconds?: number | null;
      cause?: unknown;
    } = {},
  ) {
    super(message, { cause });
    this.name = 'WorldkeepError';
    this.code = code;
    this.status = status;
    this.errors = errors;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export function closed(): WorldkeepError {
  return new WorldkeepError('closed', 'The world was closed first.');
}

export function toError(cause: unknown): WorldkeepError {
  return cause instanceof WorldkeepError ? cause : new WorldkeepError('internal', String(cause), { cause });
}

/** Whether the same request may succeed later. The server applied it completely or not at all. */
export function isTemporary({ code, status }: WorldkeepError): boolean {
  // Without a status, there is no answer of the server.
  if (status === null || code === 'not_worldkeep') return true;
  // 409: the log of the space is in a Redis that this server does not have.
  return [401, 408, 409, 429].includes(status) || (status >= 500 && status !== 501);
}
