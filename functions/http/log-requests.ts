import { createMiddleware } from 'hono/factory';
import { matchedRoutes } from 'hono/route';
import type { Counting } from '../../src/metrics/metrics.ts';
import type { AppContext, AppEnv } from './context.ts';
import type { Log } from './log.ts';

/** Another method is counted as `other`, because a caller can invent any. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

export interface LogRequestsOptions {
  log: Log;
  metrics: Counting;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** One line and one count a request, when its answer begins: who asked for what kind of thing, and what became of it. */
export function logRequests({ log, metrics, now }: LogRequestsOptions) {
  return createMiddleware<AppEnv>(async function logged(c, next) {
    const startMs = now();
    await next();
    const { status } = c.res;
    const principal = c.get('principal');
    const failure = c.get('failure');
    const route = readRoute(c);
    const durationMs = now() - startMs;
    const counted = { method: readMethod(c), route: route ?? 'unknown' };
    metrics.add('worldkeep_http_requests_total', { ...counted, status: String(status) });
    metrics.observe('worldkeep_http_request_seconds', counted, durationMs / 1_000);
    log(status >= 500 ? 'error' : 'info', 'request', {
      requestId: c.get('requestId'),
      traceId: c.get('trace')?.traceId,
      tenantId: principal?.tenantId ?? null,
      principalId: principal?.id ?? null,
      method: c.req.method,
      route,
      status,
      durationMs,
      ...failure,
    });
  });
}

function readMethod(c: AppContext): string {
  const { method } = c.req;
  return METHODS.includes(method) ? method : 'other';
}

/** `/v1/spaces/:space`, without ids and query; null where no route serves the path. */
function readRoute(c: AppContext): string | null {
  const path = matchedRoutes(c).at(-1)?.path;
  return path === undefined || path.includes('*') ? null : path;
}
