import { createMiddleware } from 'hono/factory';
import { matchedRoutes } from 'hono/route';
import type { AppContext, AppEnv } from './context.ts';
import type { Log } from './log.ts';

export interface LogRequestsOptions {
  log: Log;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** One line a request, when its answer begins: who asked for what kind of thing, and what became of it. */
export function logRequests({ log, now }: LogRequestsOptions) {
  return createMiddleware<AppEnv>(async function logged(c, next) {
    const startMs = now();
    await next();
    const { status } = c.res;
    const principal = c.get('principal');
    const failure = c.get('failure');
    log(status >= 500 ? 'error' : 'info', 'request', {
      requestId: c.get('requestId'),
      traceId: c.get('trace')?.traceId,
      tenantId: principal?.tenantId ?? null,
      principalId: principal?.id ?? null,
      method: c.req.method,
      route: readRoute(c),
      status,
      durationMs: now() - startMs,
      ...failure,
    });
  });
}

/** `/v1/spaces/:space`, without ids and query; null where no route serves the path. */
function readRoute(c: AppContext): string | null {
  const path = matchedRoutes(c).at(-1)?.path;
  return path === undefined || path.includes('*') ? null : path;
}
