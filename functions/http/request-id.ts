import { requestId } from 'hono/request-id';

const REQUEST_ID_LENGTH_MAX = 128;

/** Gives every answer an `X-Request-Id`: the caller's, if it is letters, digits, `_`, `-` and `=` alone, or a new one. */
export function nameRequests() {
  return requestId({ limitLength: REQUEST_ID_LENGTH_MAX, headerName: 'X-Request-Id' });
}
