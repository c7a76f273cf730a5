import { createMiddleware } from 'hono/factory';
import type { AppEnv } from './context.ts';
import type { Trace } from './request-types.ts';

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 0x01;
/** Of each byte, its two digits: drawn for every request. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Continues the caller's trace, or begins one where `traceparent` is absent or not valid; `traceresponse` names it. */
export function traceRequests(randomHex: (bytes: number) => string = drawHex) {
  return createMiddleware<AppEnv>(async function traced(c, next) {
    const trace = continueTrace(c.req.header('traceparent'), randomHex);
    c.set('trace', trace);
    // Set before the answer exists: changing a finished answer copies it for each header.
    c.header('traceresponse', writeTraceparent(trace));
    await next();
  });
}

/** The headers by which a call made for a request joins its trace. */
export function readTraceHeaders(trace: Trace | undefined): Record<string, string> {
  return trace === undefined ? {} : { traceparent: writeTraceparent(trace) };
}

export function continueTrace(traceparent: string | undefined, randomHex: (bytes: number) => string): Trace {
  const [, version, traceId = '', parentId = '', flags = '', rest] =
    TRACEPARENT.exec(traceparent ?? '') ?? [];
  const isValid =
    version !== undefined &&
    version !== 'ff' &&
    // Later versions may say more; the first has nothing behind its flags.
    (version !== '00' || rest === undefined) &&
    !/^0+$/.test(traceId) &&
    !/^0+$/.test(parentId);
  const spanId = randomHex(8);
  if (!isValid) return { traceId: randomHex(16), spanId, flags: '00' };
  return { traceId, spanId, flags: (Number.parseInt(flags, 16) & SAMPLED).toString(16).padStart(2, '0') };
}

function writeTraceparent({ traceId, spanId, flags }: Trace): string {
  return `00-${traceId}-${spanId}-${flags}`;
}

function drawHex(bytes: number): string {
  let hex = '';
  for (const byte of crypto.getRandomValues(new Uint8Array(bytes))) hex += HEX[byte];
  return hex;
}
