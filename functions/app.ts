import { Hono, type MiddlewareHandler } from 'hono';
import { contextStorage } from 'hono/context-storage';
import { cors } from 'hono/cors';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { AppError } from '../src/world/errors.ts';
import { answerInTime } from './http/answer-in-time.ts';
import { allow, authenticate } from './http/auth.ts';
import { readBasePath } from './http/base-path.ts';
import type { AppEnv, Services } from './http/context.ts';
import { logRequests } from './http/log-requests.ts';
import { answerProblem, HttpError } from './http/problem.ts';
import { limitConcurrently, limitFailures, limitRequests } from './http/rate-limit.ts';
import { nameRequests } from './http/request-id.ts';
import { traceRequests } from './http/trace.ts';
import { buildDocument } from './openapi/document.ts';
import type { Route } from './openapi/types.ts';
import { ROUTES } from './routes/index.ts';

const PREFLIGHT_SECONDS = 3_600;

/** The middleware of every route, and the routes. */
export function createApp(services: Services): Hono<AppEnv> {
  const app = createFrame(logRequests(services));
  const { corsAllowedOrigins } = services.config;
  if (corsAllowedOrigins.length > 0)
    app.use(
      cors({
        origin: corsAllowedOrigins === '*' ? '*' : [...corsAllowedOrigins],
        allowHeaders: [
          'Authorization',
          'Cache-Control',
          'Content-Disposition',
          'Content-Type',
          'Idempotency-Key',
          'If-Match',
          'If-None-Match',
          'If-Range',
          'Last-Event-ID',
          'Prefer',
          'Range',
          'Repr-Digest',
          'Traceparent',
          'X-Request-Id',
        ],
        exposeHeaders: [
          'Accept-Patch',
          'Accept-Ranges',
          'Age',
          'Allow',
          'Content-Disposition',
          'Content-Range',
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
          new HttpError(
            'method_not_allowed',
            `This route accepts only these methods: ${methods.join(', ')}.`,
            {
              Allow: methods.join(', '),
            },
          ),
          c,
        ),
    }),
  );
  app.use(async function serve(c, next) {
    c.set('services', services);
    const basePath = readBasePath(c);
    c.set('describeApi', () => buildDocument(ROUTES, basePath));
    await next();
    const location = basePath === '' ? null : c.res.headers.get('Location');
    if (location?.startsWith('/')) c.header('Location', `${basePath}${location}`);
  });
  for (const route of ROUTES) mount(app, services, route);
  return app;
}

function mount(app: Hono<AppEnv>, { config, spaceLog }: Services, route: Route): void {
  const { method, path, access, counted, fromQuery = false, takesLong = false, handler } = route;
  const [verb, pattern] = [method.toUpperCase(), path.replaceAll(/\{(\w+)\}/g, ':$1')];
  if (typeof access === 'string') {
    app.on(verb, pattern, handler);
    return;
  }
  const requests = config.limits.rateLimitRequestsPerMinute;
  const limit =
    counted === 'beside'
      ? limitConcurrently(requests)
      : counted === 'append' && spaceLog !== null
        ? limitFailures(requests)
        : limitRequests(requests);
  const handlers = [authenticate({ fromQuery }), limit, allow(access), handler] as const;
  if (takesLong) app.on(verb, pattern, ...handlers);
  else app.on(verb, pattern, answerInTime(), ...handlers);
}

/** Replaces the routes if the configuration is wrong: every answer says why. */
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
    // Set before the answer exists: changing a finished answer copies it for each header. A route's own Cache-Control wins.
    c.header('X-Content-Type-Options', 'nosniff');
    c.header('Cache-Control', 'no-store');
    await next();
  });
  return app;
}
