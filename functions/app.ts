import { Hono, type MiddlewareHandler } from 'hono';
import { contextStorage } from 'hono/context-storage';
import { cors } from 'hono/cors';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { AppError } from '../src/world/errors.ts';
import { getChanges } from './api/changes.ts';
import { discardDeadLetter, listDeadLetters, replayDeadLetter } from './api/dead-letters.ts';
import { getDocs, getOpenApi } from './api/docs.ts';
import { createGetHealth, getLivez, getReadyz } from './api/health.ts';
import { deleteKey, listKeys, postKey } from './api/keys.ts';
import { deleteObject, getObject, listObjects, patchObject, putObject } from './api/objects.ts';
import { listPresence } from './api/presence.ts';
import { deleteSession, postHeartbeat, postSession } from './api/sessions.ts';
import { deleteSpace, getSpace, getStatistics, listSpaces, putSpace } from './api/spaces.ts';
import { getState, putState } from './api/state.ts';
import { getStream, STREAM_ROUTE } from './api/stream.ts';
import { postUpdates } from './api/updates.ts';
import { deleteUser, getUser, putUser } from './api/users.ts';
import { allow, authenticate } from './http/auth.ts';
import type { AppContext, AppEnv, Services } from './http/context.ts';
import { logRequests } from './http/log-requests.ts';
import { answerProblem, HttpError } from './http/problem.ts';
import { limitBeside, limitFailures, limitRequests } from './http/rate-limit.ts';
import { nameRequests } from './http/request-id.ts';
import type { GuardedRoute } from './http/roles.ts';
import { traceRequests } from './http/trace.ts';
import { postDrain } from './jobs/drain.ts';

const PREFLIGHT_SECONDS = 3_600;

/** Every route, and what holds for all of them. */
export function createApp(services: Services): Hono<AppEnv> {
  const app = createFrame(logRequests(services));
  const { corsAllowedOrigins, limits } = services.config;
  if (corsAllowedOrigins.length > 0)
    app.use(
      cors({
        origin: corsAllowedOrigins === '*' ? '*' : [...corsAllowedOrigins],
        allowHeaders: [
          'Authorization',
          'Cache-Control',
          'Content-Type',
          'Idempotency-Key',
          'If-Match',
          'If-None-Match',
          'Last-Event-ID',
          'Prefer',
          'Traceparent',
          'X-Request-Id',
        ],
        exposeHeaders: [
          'Age',
          'ETag',
          'Location',
          'Preference-Applied',
          'RateLimit',
          'RateLimit-Policy',
          'Retry-After',
          'Traceresponse',
          'X-Request-Id',
        ],
        maxAge: PREFLIGHT_SECONDS,
      }),
    );
  app.use(
    methodNotAllowed<AppEnv>({
      app,
      onMethodNotAllowed: (c, methods) =>
        answerProblem(
          new HttpError('method_not_allowed', `Served here: ${methods.join(', ')}.`, {
            Allow: methods.join(', '),
          }),
          c,
        ),
    }),
  );
  app.use(async function serve(c, next) {
    c.set('services', services);
    await next();
  });

  app.get('/livez', getLivez);
  app.get('/readyz', getReadyz);
  app.get('/health', createGetHealth());
  app.get('/openapi.json', getOpenApi);
  app.get('/docs', getDocs);

  // For QStash: its signature is the credential.
  app.post('/jobs/drain', postDrain);

  /** A route of the role table: what it may be asked for, and by whom, stands there. */
  const limited = limitRequests(limits.rateLimitRequestsPerMinute);
  const guard = (
    route: GuardedRoute,
    handler: (c: AppContext) => Promise<Response>,
    { counted = limited, fromQuery = false } = {},
  ) => {
    const [method = '', path = ''] = route.split(' ');
    app.on(method, path, authenticate({ fromQuery }), counted, allow(route), handler);
  };
  guard('GET /v1/spaces', listSpaces);
  guard('GET /v1/spaces/:space', getSpace);
  guard('PUT /v1/spaces/:space', putSpace);
  guard('DELETE /v1/spaces/:space', deleteSpace);
  guard('GET /v1/spaces/:space/state', getState, {
    counted: limitBeside(limits.rateLimitRequestsPerMinute),
  });
  guard('PUT /v1/spaces/:space/state', putState);
  guard('GET /v1/spaces/:space/statistics', getStatistics);
  guard('GET /v1/spaces/:space/objects', listObjects);
  guard('GET /v1/spaces/:space/objects/:id', getObject);
  guard('PUT /v1/spaces/:space/objects/:id', putObject);
  guard('PATCH /v1/spaces/:space/objects/:id', patchObject);
  guard('DELETE /v1/spaces/:space/objects/:id', deleteObject);
  // Counted by the append itself, which is one command to Redis, and by memory where it has none.
  const counted = services.spaceLog === null ? limited : limitFailures(limits.rateLimitRequestsPerMinute);
  guard('POST /v1/spaces/:space/updates', postUpdates, { counted });
  guard('GET /v1/spaces/:space/changes', getChanges);
  // A browser's EventSource sets no header.
  guard(STREAM_ROUTE, getStream, { fromQuery: true });

  guard('GET /v1/dead-letters', listDeadLetters);
  guard('POST /v1/dead-letters/:id/replay', replayDeadLetter);
  guard('DELETE /v1/dead-letters/:id', discardDeadLetter);

  guard('GET /v1/spaces/:space/presence', listPresence);
  guard('GET /v1/users/:id', getUser);
  guard('PUT /v1/users/:id', putUser);
  guard('DELETE /v1/users/:id', deleteUser);
  guard('POST /v1/sessions', postSession);
  guard('POST /v1/sessions/:id/heartbeat', postHeartbeat);
  guard('DELETE /v1/sessions/:id', deleteSession);

  guard('GET /v1/keys', listKeys);
  guard('POST /v1/keys', postKey);
  guard('DELETE /v1/keys/:id', deleteKey);
  return app;
}

/** What stands in for the routes where the configuration cannot be served: every answer says why. */
export function createRefusingApp(refusal: AppError): Hono<AppEnv> {
  // Said once in the log, when it was found; not again for every request.
  const app = createFrame();
  app.all('*', () => {
    throw refusal;
  });
  return app;
}

function createFrame(...outermost: MiddlewareHandler<AppEnv>[]): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.onError((error, c) => answerProblem(error, c));
  app.notFound((c) => answerProblem(new AppError('not_found', 'There is no such route.'), c));
  app.use(contextStorage(), nameRequests(), traceRequests(), ...outermost);
  app.use(async function harden(c, next) {
    // Before the answer is there: afterwards each header makes it anew. A route's own Cache-Control goes over this one.
    c.header('X-Content-Type-Options', 'nosniff');
    c.header('Cache-Control', 'no-store');
    await next();
  });
  return app;
}
